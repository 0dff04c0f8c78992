"""How each kind of trigger reaches its function, and what every function of the kind needs.

Whatever is invoked asynchronously has a queue for what fails: a redrive queue behind SQS, an
on-failure destination behind streams and schedules.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aws_cdk import CfnOutput, Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm

from infra.cdk.constructs.resources import GATE, JOURNAL, TIMERS, Key, Table, allow, key_use
from infra.cdk.stage import Stage

if TYPE_CHECKING:
    from infra.cdk.constructs.function import Function

TIMEOUT_SECONDS: Final = {
    "endpoint": 15,
    "webhook": 10,
    "step": 60,
    "subscriber": 60,
    "consumer": 60,
    "stream": 60,
    "schedule": 60,
}

SERVER_ERRORS: Final = "Mailroom/ServerErrors"
"""The namespace of what endpoints and webhooks answer with 5xx, by function."""

_ATTEMPTS: Final = 5
_CONCURRENCY: Final = 5
_RETENTION: Final = Duration.days(14)


def reserved_concurrency(kind: str, stage: Stage) -> int | None:
    """Return what bounds a function from outside: anybody can call a webhook's URL."""
    return stage.webhook_concurrency if kind == "webhook" else None


def wire(function: "Function") -> None:
    """Connect the function to what its trigger names."""
    _WIRINGS[function.kind](function)


def _endpoint(function: "Function") -> None:
    """A route of the HTTP API; the gate admits every call, and tokens are verified locally."""
    stack, stage, trigger = function.stack, function.stage, function.trigger
    if trigger.route.limited:
        function.allow(GATE, "GetItem", "UpdateItem")
    if not trigger.public:
        for generation in stage.token_key_generations:
            function.allow(Key(f"tokens-{generation}"), "GetPublicKey")
    _count_server_errors(function)
    apigateway.HttpRoute(
        function,
        "Route",
        http_api=stack.http_api,
        route_key=apigateway.HttpRouteKey.with_(
            trigger.path, apigateway.HttpMethod[trigger.method.upper()]
        ),
        integration=integrations.HttpLambdaIntegration("Integration", function.function),
    )


def _webhook(function: "Function") -> None:
    """A Lambda URL that anybody may call: the handler verifies the provider's signature."""
    provider, stage = function.trigger.provider, function.stage
    _count_server_errors(function)
    url = function.function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.NONE)
    parameter = stage.parameter_of(f"webhooks/{provider}")
    ssm.StringParameter(function, "Address", parameter_name=parameter, string_value=url.url)
    CfnOutput(
        function, "Url", value=url.url, description=f"Webhooks of {provider}: /{{connection_id}}"
    )


def _step(function: "Function") -> None:
    """A task of a state machine, whose role invokes it."""


def _subscriber(function: "Function") -> None:
    """One type of event: rule → SQS → Lambda, so that a burst waits instead of waking hundreds.

    The function remembers in the journal what it has finished, and tells the test clock so.
    """
    function.allow(JOURNAL, "GetItem", "PutItem").allow(TIMERS, "UpdateItem")
    dead_letters = _dead_letters(function)
    queue = _queue(function, dead_letters, batch_size=10)
    events.Rule(
        function,
        "Rule",
        rule_name=function.physical_name,
        event_bus=function.stack.event_bus,
        event_pattern=events.EventPattern(detail_type=[function.trigger.event_type]),
        targets=[targets.SqsQueue(queue, dead_letter_queue=dead_letters)],
    )


def _consumer(function: "Function") -> None:
    """Batches of a queue, with partial failures."""
    _queue(function, _dead_letters(function), batch_size=function.trigger.batch_size)


def _stream(function: "Function") -> None:
    """The changes of a table in order; a batch that keeps failing is halved, then set aside."""
    stack, table = function.stack, function.trigger.table
    owner = "kernel" if table in {"gate", "journal", "timers"} else table
    streams = f"{Table(table, owner).arns(stack)[0]}/stream/*"
    dead_letters = _dead_letters(function)
    stream_arn = stack.parameter(f"streams/{table}")
    function.grant(
        allow("dynamodb", ["DescribeStream", "GetRecords", "GetShardIterator"], [stream_arn]),
        allow("dynamodb", ["ListStreams"], [streams], because="A table's streams, by time."),
        key_use(stack, owner, "dynamodb"),
        allow("sqs", ["SendMessage"], [dead_letters.queue_arn]),
    )
    lambda_.EventSourceMapping(
        function,
        "Source",
        target=function.function,
        event_source_arn=stream_arn,
        starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        batch_size=100,
        bisect_batch_on_error=True,
        retry_attempts=50,
        max_record_age=Duration.hours(12),
        parallelization_factor=2,
        on_failure=sources.SqsDlq(dead_letters),
    )


def _schedule(function: "Function") -> None:
    """A rule of the clock; what neither the rule nor the function could do lies in the queue."""
    dead_letters = _dead_letters(function)
    function.grant(allow("sqs", ["SendMessage"], [dead_letters.queue_arn]))
    function.function.configure_async_invoke(
        on_failure=destinations.SqsDestination(dead_letters),
        retry_attempts=1,
        max_event_age=Duration.minutes(5),
    )
    events.Rule(
        function,
        "Rule",
        rule_name=function.physical_name,
        schedule=events.Schedule.expression(function.trigger.expression),
        targets=[
            targets.LambdaFunction(
                function.function,
                dead_letter_queue=dead_letters,
                retry_attempts=2,
                max_event_age=Duration.minutes(5),
            )
        ],
    )


def _count_server_errors(function: "Function") -> None:
    """Count 5xx by the log: what a handler answers itself is no error to Lambda."""
    if function.stage.local:
        return
    logs.MetricFilter(
        function,
        "ServerErrors",
        log_group=function.log_group,
        filter_pattern=logs.FilterPattern.literal("{ $.status >= 500 }"),
        metric_namespace=SERVER_ERRORS,
        metric_name=function.physical_name,
    )


def _queue(function: "Function", dead_letters: sqs.Queue, *, batch_size: int) -> sqs.Queue:
    """Return the queue that feeds the function, a few batches at a time."""
    queue = function.queue = sqs.Queue(
        function,
        "Queue",
        queue_name=function.queue_name,
        fifo=function.queue_name.endswith(".fifo") or None,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not function.stage.local,
        visibility_timeout=Duration.seconds(6 * function.timeout_seconds),
        retention_period=_RETENTION,
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=_ATTEMPTS),
    )
    function.grant(
        allow("sqs", ["DeleteMessage", "GetQueueAttributes", "ReceiveMessage"], [queue.queue_arn])
    )
    lambda_.EventSourceMapping(
        function,
        "Source",
        target=function.function,
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        max_concurrency=_CONCURRENCY,
        report_batch_item_failures=True,
    )
    return queue


def _dead_letters(function: "Function") -> sqs.Queue:
    """Return the queue of what the function failed to do; an alarm watches it."""
    name = function.dead_letter_queue_name
    function.dead_letters = sqs.Queue(
        function,
        "DeadLetters",
        queue_name=name,
        fifo=name.endswith(".fifo") or None,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not function.stage.local,
        retention_period=_RETENTION,
    )
    return function.dead_letters


_WIRINGS: Final[dict[str, Callable[["Function"], None]]] = {
    "endpoint": _endpoint,
    "webhook": _webhook,
    "step": _step,
    "subscriber": _subscriber,
    "consumer": _consumer,
    "stream": _stream,
    "schedule": _schedule,
}
