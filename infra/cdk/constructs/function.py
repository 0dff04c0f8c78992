"""`Function`: one file, one Lambda, with its own role and log group, wired as its trigger says."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from infra.cdk import tree
from infra.cdk.constructs import triggers
from infra.cdk.constructs.kernel_grants import KernelGrants
from infra.cdk.constructs.resources import allow

if TYPE_CHECKING:
    from infra.cdk.constructs.context_stack import ContextStack

RUNTIME: Final = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE: Final = lambda_.Architecture.ARM_64


class Function(KernelGrants):
    """The Lambda of `functions/<context>/<file>.py`; `allow` grants it exact actions."""

    def __init__(
        self,
        stack: "ContextStack",
        file: str,
        *,
        layers: Sequence[lambda_.ILayerVersion],
        environment: Mapping[str, str],
        timeout_seconds: int | None,
        memory_megabytes: int,
    ) -> None:
        super().__init__(stack, file)
        self.file = file
        self.trigger = tree.handler(stack.context, file)
        self.kind: str = self.trigger.kind
        self.queue: sqs.Queue | None = None
        self.dead_letters: sqs.Queue | None = None
        self.timeout_seconds = timeout_seconds or triggers.TIMEOUT_SECONDS[self.kind]
        self.log_group = self.add_log_group("/aws/lambda")
        logged = [self.log_group.log_group_arn]
        self.grant(allow("logs", ["CreateLogStream", "PutLogEvents"], logged))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=self.physical_name,
            description=tree.summary(stack.context, file),
            code=stack.code,
            handler=f"{file}.handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            layers=list(layers),
            role=self.add_role("lambda"),
            log_group=self.log_group,
            environment=dict(environment),
            timeout=Duration.seconds(self.timeout_seconds),
            memory_size=memory_megabytes,
            tracing=lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=triggers.reserved_concurrency(self.kind, self.stage),
        )
        triggers.wire(self)

    @property
    def queue_name(self) -> str:
        """The queue that feeds a consumer or subscriber."""
        consumer = self.kind == "consumer"
        return self.stage.name_of(self.trigger.queue) if consumer else self.physical_name

    @property
    def dead_letter_queue_name(self) -> str:
        """The queue of what the function failed to do; FIFO as the queue that feeds it."""
        suffix = ".fifo" if self.queue_name.endswith(".fifo") else ""
        return f"{self.physical_name}-dead{suffix}"
