"""`StateMachine`: one ASL file, one flow, whose role may invoke exactly the steps it names."""

import json
import re
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_stepfunctions as sfn

from infra.cdk import tree
from infra.cdk.constructs.grantee import Grantee
from infra.cdk.constructs.resources import Function, allow

if TYPE_CHECKING:
    from infra.cdk.constructs.context_stack import ContextStack

_STEP: Final = re.compile(r"\$\{(?:(\w+)\.)?(\w+)\}")
_LOG_DELIVERY: Final = (
    "CreateLogDelivery",
    "DeleteLogDelivery",
    "DescribeLogGroups",
    "DescribeResourcePolicies",
    "GetLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "UpdateLogDelivery",
)
_SAMPLING: Final = ("GetSamplingRules", "GetSamplingTargets")


class StateMachine(Grantee):
    """A flow; in its definition, `${charge_card}` is a step of the context or of the kernel.

    `${identity.suspend_tenant}` is a step of the context that it names.
    """

    def __init__(self, stack: "ContextStack", file: str) -> None:
        super().__init__(stack, file, suffix="Flow")
        self.file = file
        definition = json.loads(tree.state_machine_file(stack.context, file).read_text())
        self.steps: dict[str, str] = {}
        text = _STEP.sub(self._grant_step, json.dumps(definition))
        self.grant(allow("xray", _SAMPLING, ["*"], because="X-Ray knows no narrower resource."))
        self.grant(allow("logs", _LOG_DELIVERY, ["*"], because="Log delivery has no resources."))
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=self.physical_name,
            comment=definition.get("Comment"),
            definition_body=sfn.DefinitionBody.from_string(text),
            definition_substitutions=self.steps,
            role=self.add_role("states"),
            logs=sfn.LogOptions(
                destination=self.add_log_group("/aws/vendedlogs/states"),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
            tracing_enabled=True,
        )

    def _grant_step(self, placeholder: re.Match[str]) -> str:
        """Grant a step, and return the placeholder under which its ARN is substituted."""
        context, name = placeholder.groups()
        if context is None:
            own = name in tree.function_files(self.stack.context)
            context = self.stack.context if own else "kernel"
        if tree.handler(context, name).kind != "step":
            raise TypeError(f"{self.file}: functions/{context}/{name}.py is no step")
        step = Function(f"{context}/{name}")
        self.allow(step, "InvokeFunction")
        self.steps[f"{context}_{name}"] = step.arns(self.stack)[0]
        return f"${{{context}_{name}}}"
