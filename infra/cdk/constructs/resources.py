"""What can be granted, by deterministic name: `function.allow(TABLE, "GetItem")`.

A resource knows its ARNs and what else its use takes (a table under a context's key needs that
key). Only what AWS names itself, keys and streams, travels between stacks as SSM parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from infra.cdk.constructs.context_stack import ContextStack

_INDEXED: Final = frozenset({"Query", "Scan"})
_KEY_USE: Final = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")


class Statement(NamedTuple):
    """What a policy allows; `because` is the reason of the wildcards in its resources."""

    actions: list[str]
    resources: list[str]
    conditions: dict[str, dict[str, str]]
    because: str

    @property
    def wildcards(self) -> list[str]:
        """Return the resources that stand for more than one."""
        return [resource for resource in self.resources if "*" in resource]

    def render(self) -> iam.PolicyStatement:
        """Return the statement as CDK has it."""
        return iam.PolicyStatement(
            actions=self.actions, resources=self.resources, conditions=self.conditions or None
        )


@dataclass(frozen=True)
class Resource:
    """Something on which exact actions of its service can be granted."""

    service: ClassVar[str]
    because: ClassVar[str] = ""

    name: str

    def statements(self, stack: "ContextStack", actions: Sequence[str]) -> list[Statement]:
        """Return the policy statements that allow the actions on this resource and no other."""
        return [allow(self.service, actions, self.arns(stack), because=self.because)]

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the ARNs that stand for the resource."""
        raise NotImplementedError


@dataclass(frozen=True)
class Table(Resource):
    """A DynamoDB table; `context` owns it and the key that encrypts it.

    DynamoDB authorises a transaction as the Put, Update, Delete and ConditionCheck inside it.
    """

    service = "dynamodb"

    context: str

    def statements(self, stack: "ContextStack", actions: Sequence[str]) -> list[Statement]:
        """Return the table's statements, and the use of its key by way of DynamoDB only."""
        [table] = self.arns(stack)
        own = [action for action in actions if action not in _INDEXED]
        indexed = [action for action in actions if action in _INDEXED]
        return [
            *([allow("dynamodb", own, [table])] if own else []),
            *([_on_indexes(indexed, table)] if indexed else []),
            key_use(stack, self.context, "dynamodb"),
        ]

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the table's ARN."""
        return [arn(stack, "dynamodb", f"table/{stack.stage.name_of(self.name)}")]


GATE: Final = Table("gate", context="kernel")
JOURNAL: Final = Table("journal", context="kernel")
TIMERS: Final = Table("timers", context="kernel")


@dataclass(frozen=True)
class Key(Resource):
    """A KMS key by its alias without `mailroom-<stage>-`: a context's, `fields` or `tokens-<n>`."""

    service = "kms"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the key's ARN: a call by alias is authorised on the key behind it."""
        return [stack.key_arn(self.name)]


@dataclass(frozen=True)
class Secret(Resource):
    """A secret `mailroom/<stage>/<name>`; `context` owns the key that encrypts it."""

    service = "secretsmanager"

    context: str

    def statements(self, stack: "ContextStack", actions: Sequence[str]) -> list[Statement]:
        """Return the secret's statement, and the use of its key by way of Secrets Manager only."""
        return [
            allow("secretsmanager", actions, self.arns(stack)),
            key_use(stack, self.context, "secretsmanager"),
        ]

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the secret's ARN, whose last six characters AWS chooses."""
        name = f"mailroom/{stack.stage.name}/{self.name}-??????"
        return [arn(stack, "secretsmanager", f"secret:{name}")]


@dataclass(frozen=True)
class Objects(Resource):
    """Objects of a bucket under a prefix; `context` owns the key that encrypts them."""

    service = "s3"

    context: str
    prefix: str = ""

    def statements(self, stack: "ContextStack", actions: Sequence[str]) -> list[Statement]:
        """Return the statement on the objects, and the use of their key by way of S3 only."""
        objects = allow("s3", actions, self.arns(stack), because="Objects under a prefix.")
        return [objects, key_use(stack, self.context, "s3")]

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the pattern of the objects' ARNs."""
        return [f"arn:aws:s3:::{stack.bucket_name(self.name)}/{self.prefix}*"]


@dataclass(frozen=True)
class EventBus(Resource):
    """The platform's event bus."""

    service = "events"

    name: str = "events"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the bus's ARN."""
        return [arn(stack, "events", f"event-bus/{stack.stage.name_of(self.name)}")]


@dataclass(frozen=True)
class Queue(Resource):
    """The SQS queue that a consumer reads, by the name in its trigger."""

    service = "sqs"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the queue's ARN."""
        return [arn(stack, "sqs", stack.stage.name_of(self.name))]


@dataclass(frozen=True)
class Function(Resource):
    """Another function, named as `<context>/<file>`."""

    service = "lambda"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the function's ARN."""
        name = stack.stage.name_of(self.name.replace("/", "-"))
        return [arn(stack, "lambda", f"function:{name}")]


@dataclass(frozen=True)
class StateMachine(Resource):
    """A flow, named as `<context>/<file>`, to be started."""

    service = "states"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the state machine's ARN."""
        name = stack.stage.name_of(self.name.replace("/", "-"))
        return [arn(stack, "states", f"stateMachine:{name}")]


@dataclass(frozen=True)
class Executions(Resource):
    """The executions of a flow, named as `<context>/<file>`, to be described or stopped."""

    service = "states"
    because = "Executions of one flow; their names are made at run time."

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the pattern of the executions' ARNs."""
        name = stack.stage.name_of(self.name.replace("/", "-"))
        return [arn(stack, "states", f"execution:{name}:*")]


@dataclass(frozen=True)
class TaskTokens(Resource):
    """Task tokens of flows, to wake the executions that wait."""

    service = "states"
    because = "IAM knows no narrower resource for task tokens."

    name: str = "*"

    def statements(self, stack: "ContextStack", actions: Sequence[str]) -> list[Statement]:
        """Return the statement; ValueError for actions that have a resource of their own."""
        if not all(action.startswith("SendTask") for action in actions):
            raise ValueError("Task tokens allow SendTaskSuccess and SendTaskFailure only")
        return super().statements(stack, actions)

    def arns(self, stack: "ContextStack") -> list[str]:  # noqa: ARG002 - alike for every stack
        """Return `*`."""
        return [self.name]


@dataclass(frozen=True)
class Mail(Resource):
    """Sending by SES from the stage's mail domain, through a configuration set."""

    service = "ses"

    def arns(self, stack: "ContextStack") -> list[str]:
        """Return the ARNs of the identity and of the configuration set."""
        return [
            arn(stack, "ses", f"identity/{stack.stage.mail_domain}"),
            arn(stack, "ses", f"configuration-set/{stack.stage.name_of(self.name)}"),
        ]


def allow(
    service: str,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    conditions: dict[str, dict[str, str]] | None = None,
    because: str = "",
) -> Statement:
    """Return a statement that allows exact actions of a service.

    Raises ValueError for wildcards in actions, and for those in resources without a reason.
    """
    if not actions or any("*" in action or ":" in action for action in actions):
        raise ValueError(f"Grant exact actions without the service, not {list(actions)}")
    statement = Statement(
        [f"{service}:{action}" for action in actions], list(resources), conditions or {}, because
    )
    if statement.wildcards and not because:
        raise ValueError(f"Say why {statement.actions} are granted on {statement.wildcards}")
    return statement


def _on_indexes(actions: Sequence[str], table: str) -> Statement:
    return allow("dynamodb", actions, [table, f"{table}/index/*"], because="A table's indexes.")


def key_use(stack: "ContextStack", context: str, service: str) -> Statement:
    """Return the statement that lets a service, and nothing else, use a context's key."""
    via = {"kms:ViaService": f"{service}.{stack.stage.region}.amazonaws.com"}
    return allow("kms", _KEY_USE, Key(context).arns(stack), conditions={"StringEquals": via})


def arn(stack: "ContextStack", service: str, resource: str) -> str:
    """Return the ARN of a resource of this account and region, e.g. `("sqs", "my-queue")`."""
    return f"arn:aws:{service}:{stack.place}:{resource}"
