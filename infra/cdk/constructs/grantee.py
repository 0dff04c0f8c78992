"""`Grantee`: something with a role of its own that holds exactly what `allow` grants."""

from typing import TYPE_CHECKING, Final, Self

from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.cdk import nag
from infra.cdk.constructs.resources import Resource, Statement, allow

if TYPE_CHECKING:
    from infra.cdk.constructs.context_stack import ContextStack

_TRACING: Final = ("PutTelemetryRecords", "PutTraceSegments")


class Grantee(Construct):
    """Base of functions and state machines: a role, its one policy, and a log group."""

    def __init__(self, stack: "ContextStack", name: str, *, suffix: str = "") -> None:
        super().__init__(stack, "".join(word.capitalize() for word in name.split("_")) + suffix)
        self.stack, self.stage = stack, stack.stage
        self.physical_name = self.stage.name_of(f"{stack.context}-{name}")
        self.policy = iam.PolicyDocument(minimize=True)
        self.grant(allow("xray", _TRACING, ["*"], because="X-Ray knows no narrower resource."))

    def allow(self, resource: Resource, *actions: str) -> Self:
        """Grant exact actions on a resource, e.g. `allow(TABLE, "GetItem", "PutItem")`."""
        self.grant(*resource.statements(self.stack, actions))
        return self

    def grant(self, *statements: Statement) -> None:
        """Add statements to the role's one policy; cdk-nag learns the reasons of wildcards."""
        for statement in statements:
            self.policy.add_statements(statement.render())
            for resource in () if self.stage.local else statement.wildcards:
                readable = resource.replace(self.stack.account, nag.account_of(self.stack))
                nag.acknowledge(self, f"IAM5[Resource::{readable}]", statement.because)

    def add_role(self, service: str) -> iam.IRole:
        """Return the role that the service takes on; constructs of CDK cannot widen it."""
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"),
            inline_policies={"grants": self.policy},
        )
        return role.without_policy_updates()

    def add_log_group(self, prefix: str) -> logs.LogGroup:
        """Return the log group `<prefix>/<physical name>`, under the context's key."""
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"{prefix}/{self.physical_name}",
            encryption_key=self.stack.context_key,
            retention=self.stack.log_retention,
            removal_policy=self.stage.removal_policy,
        )
