"""Read cdk.out: its stacks with their assets, in an order in which they can be deployed."""

import json
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from local import settings
from local.errors import LocalError

PLACEHOLDERS = {
    "${AWS::AccountId}": settings.ACCOUNT_ID,
    "${AWS::Region}": settings.REGION,
    "${AWS::Partition}": "aws",
}


@dataclass(frozen=True)
class Asset:
    """A file or folder that goes to the assets bucket before its stack is deployed."""

    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True)
class Stack:
    """One CloudFormation stack of the assembly."""

    artifact: str
    name: str
    template_path: Path
    template_url: str
    tags: dict[str, str]
    dependencies: frozenset[str]
    assets: tuple[Asset, ...]

    @cached_property
    def template(self) -> dict[str, Any]:
        """The synthesised template."""
        document: dict[str, Any] = json.loads(self.template_path.read_text())
        return document

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Map logical ids to the properties of every resource of one type."""
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.template.get("Resources", {}).items()
            if resource["Type"] == kind
        }


def load(folder: Path) -> list[Stack]:
    """Read the assembly in a folder, sorted so that every stack follows those it depends on.

    A stack without resources is left out, as the CDK's own tool does.
    """
    try:
        artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    except FileNotFoundError:
        raise LocalError(f"there is no cloud assembly in {folder}: run `make synth`") from None
    stacks = {
        artifact: _stack(folder, artifact, content, artifacts)
        for artifact, content in artifacts.items()
        if content["type"] == "aws:cloudformation:stack"
    }
    order = TopologicalSorter({a: s.dependencies & stacks.keys() for a, s in stacks.items()})
    ordered = [stacks[artifact] for artifact in order.static_order()]
    return [stack for stack in ordered if stack.template.get("Resources")]


def _stack(
    folder: Path, artifact: str, content: dict[str, Any], artifacts: dict[str, Any]
) -> Stack:
    properties = content["properties"]
    dependencies = frozenset(content.get("dependencies", ()))
    assets = [
        asset
        for dependency in sorted(dependencies)
        if artifacts[dependency]["type"] == "cdk:asset-manifest"
        for asset in _assets(folder, folder / artifacts[dependency]["properties"]["file"])
    ]
    return Stack(
        artifact=artifact,
        name=properties.get("stackName", artifact),
        template_path=folder / properties["templateFile"],
        template_url=_fill(properties["stackTemplateAssetObjectUrl"]),
        tags=properties.get("tags", {}),
        dependencies=dependencies,
        assets=tuple(assets),
    )


def _assets(folder: Path, manifest: Path) -> list[Asset]:
    files = json.loads(manifest.read_text()).get("files", {})
    return [
        Asset(
            source=folder / entry["source"]["path"],
            zipped=entry["source"]["packaging"] == "zip",
            bucket=_fill(destination["bucketName"]),
            key=_fill(destination["objectKey"]),
        )
        for entry in files.values()
        for destination in entry["destinations"].values()
    ]


def _fill(text: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text
