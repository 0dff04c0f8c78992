"""What the CDK app synthesised, for assertions: templates by stack id, resources by type."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    logical_id: str
    document: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.document["Type"])

    @property
    def properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = self.document.get("Properties", {})
        return properties

    def __str__(self) -> str:
        return f"{self.stack}/{self.logical_id}"


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly on disk."""

    folder: Path
    stage: str

    @cached_property
    def manifest(self) -> dict[str, Any]:
        artifacts: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return {
            name: artifact
            for name, artifact in artifacts["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        }

    @cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        return {
            name: json.loads((self.folder / artifact["properties"]["templateFile"]).read_text())
            for name, artifact in self.manifest.items()
        }

    def resources(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of these types, or all."""
        for stack, template in self.templates.items():
            for logical_id, document in template["Resources"].items():
                if not types or document["Type"] in types:
                    yield Resource(stack, logical_id, document)

    def functions(self) -> dict[str, Resource]:
        """Return the platform's functions as `<context>/<file>`, without the sandbox's."""
        return {
            resource.properties["Environment"]["Variables"]["MAILROOM_FUNCTION"]: resource
            for resource in self.resources("AWS::Lambda::Function")
            if resource.stack != "sandbox"
        }

    def named(self, stack: str, reference: Any) -> Resource:
        """Return the resource that a `Ref` or `Fn::GetAtt` of a stack means."""
        logical_id = reference.get("Ref") or reference["Fn::GetAtt"][0]
        return Resource(stack, logical_id, self.templates[stack]["Resources"][logical_id])

    def parameter(self, stack: str, reference: Any) -> str | None:
        """Return the name of the SSM parameter that a `Ref` of a stack means, or None."""
        parameters = self.templates[stack].get("Parameters", {})
        name = reference.get("Ref") if isinstance(reference, dict) else None
        return parameters[name]["Default"] if name in parameters else None

    def statements(self, role: Resource) -> list[dict[str, Any]]:
        """Return the statements of a role's policies, with actions and resources as lists."""
        statements = [
            statement
            for policy in role.properties.get("Policies", [])
            for statement in policy["PolicyDocument"]["Statement"]
        ] + [
            statement
            for policy in self.resources("AWS::IAM::Policy")
            if policy.stack == role.stack and {"Ref": role.logical_id} in policy.properties["Roles"]
            for statement in policy.properties["PolicyDocument"]["Statement"]
        ]
        return [
            {
                **statement,
                "Action": as_list(statement["Action"]),
                "Resource": [text_of(item) for item in as_list(statement["Resource"])],
            }
            for statement in statements
        ]

    def role_of(self, resource: Resource) -> Resource:
        """Return the role of a function or state machine."""
        return self.named(
            resource.stack, resource.properties.get("Role") or resource.properties["RoleArn"]
        )


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text_of(value: Any) -> str:
    """Return a template's string with its references in angle brackets."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(text_of(part) for part in parts)
    if "Fn::Sub" in value:
        return str(value["Fn::Sub"])
    if "Fn::GetAtt" in value:
        return f"<{'.'.join(value['Fn::GetAtt'])}>"
    return f"<{value['Ref']}>"


def synthesise(
    stage: str, folder: Path, *, schemas: bool = True, **context: Any
) -> subprocess.CompletedProcess[str]:
    """Run the app for a stage, without credentials, without building layers.

    `schemas=False` spares the time of holding templates to CloudFormation's schemas.
    """
    values = {"local": "true"} if stage == "local" else {"stage": stage}
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment
        | {
            "CDK_OUTDIR": str(folder),
            "CDK_VALIDATION": str(schemas).lower(),
            "CDK_CONTEXT_JSON": json.dumps(values | {"layers": "none"} | context),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
