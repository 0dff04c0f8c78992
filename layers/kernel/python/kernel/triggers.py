"""What starts a function that is no endpoint. The annotations say what it takes.

    @step                         def handler(input: ChargeInvoice) -> InvoiceCharged
    @subscriber                   def handler(event: TenantRegistered) -> None
    @consumer("clock-advance")    def handler(message: AdvanceClock) -> None
    @stream("journal")            def handler(records: Sequence[StreamRecord]) -> None
    @schedule("rate(1 minute)")   def handler(now: datetime) -> None

Each makes the function an object that is itself the Lambda handler and that tells the CDK app, by
its `kind`, how to wire it. Handlers raise; retries, partial failures and dead letters are here.
"""

import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar, get_type_hints

from pydantic import BaseModel, TypeAdapter

from contracts.events import Event
from kernel import clock, startup, work
from kernel.observability import count, logger, traced
from kernel.principals import System
from kernel.settings import KernelSettings, load
from kernel.tables import ConsumedRecord, Table, find, kind_of
from kernel.transactions import Transaction

InputT = TypeVar("InputT", bound=BaseModel)
OutputT = TypeVar("OutputT", bound=BaseModel | None)
EventT = TypeVar("EventT", bound=Event)
RecordT = TypeVar("RecordT", bound=Table)

_CONSUMED_DAYS: Final = 14


class Trigger:
    """Base of the trigger objects: logging, tracing, and the type of the one parameter."""

    kind: ClassVar[str]

    def __init__(self, function: Callable[[Any], Any]) -> None:
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != 1 or parameters[0] not in hints:
            raise TypeError(f"{function.__module__}.handler takes one annotated parameter")
        self.function = function
        self.parameter: Any = hints[parameters[0]]
        self.returned: Any = hints.get("return", type(None))
        self._run = traced(self._handle)
        startup.end()

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        """Handle an invocation of the Lambda function."""
        logger.clear_state()
        logger.append_keys(request_id=getattr(context, "aws_request_id", None))
        return self._run(event, context)

    def _handle(self, event: dict[str, Any], _context: Any) -> Any:
        raise NotImplementedError


class Step(Trigger):
    """A task of a state machine: a model in, a model out; business outcomes are data."""

    kind = "step"

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(function)
        self.input_model, self.output_model = self.parameter, self.returned
        self._input: TypeAdapter[Any] = TypeAdapter(self.input_model)
        self._output: TypeAdapter[Any] = TypeAdapter(self.output_model)

    def _handle(self, event: dict[str, Any], _context: Any) -> Any:
        started = time.perf_counter()
        keys = ("tenant_id", "execution", "subject")
        logger.append_keys(**{name: event[name] for name in keys if name in event})
        output = self.function(self._input.validate_python(event))
        logger.info("Step", duration_milliseconds=_milliseconds_since(started))
        return self._output.dump_python(output, mode="json")


class _QueueTrigger(Trigger):
    """Base of what SQS feeds: each message on its own, with partial batch responses.

    A message that cannot be read fails like any other, so it reaches the dead-letter queue after
    the queue's few attempts. Behind a FIFO queue, a failure holds back what follows in its group.
    """

    def _handle(self, event: dict[str, Any], _context: Any) -> dict[str, Any]:
        failed: list[dict[str, str]] = []
        held_groups: set[str] = set()
        for record in event["Records"]:
            group = record.get("attributes", {}).get("MessageGroupId")
            if group not in held_groups and self._try(record):
                continue
            failed.append({"itemIdentifier": record["messageId"]})
            if group is not None:
                held_groups.add(group)
        return {"batchItemFailures": failed}

    def _try(self, record: Mapping[str, Any]) -> bool:
        """Work on one message; a failure is logged, counted, and told to SQS by the caller."""
        started = time.perf_counter()
        logger.append_keys(message_id=record["messageId"])
        try:
            self._handle_body(record["body"])
        except Exception:  # noqa: BLE001 - whatever it was, SQS delivers it again
            attempt = record.get("attributes", {}).get("ApproximateReceiveCount")
            logger.exception("Message failed", attempt=attempt)
            count("MessageFailed")
            return False
        else:
            logger.info("Message", duration_milliseconds=_milliseconds_since(started))
            return True
        finally:
            logger.remove_keys(["message_id", "tenant_id", "event_id", "event_type"])

    def _handle_body(self, body: str) -> None:
        raise NotImplementedError


class Subscriber(_QueueTrigger):
    """One type of event, fed by its own queue.

    An event that was finished here before is skipped. The memory of that is written after the
    handler, so an event whose handler crashed midway, or that two workers hold at once, is handled
    again: **effects must be idempotent by keys of their own** (a record that can exist once, a
    provider's idempotency key, the aggregate's version).
    """

    kind = "subscriber"

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(function)
        self.event_model: type[Event] = self.parameter
        self.event_type: str = self.event_model.type

    def _handle_body(self, body: str) -> None:
        event = self.event_model.model_validate(json.loads(body)["detail"])
        logger.append_keys(tenant_id=event.tenant_id, event_id=event.id, event_type=event.type)
        name = load(KernelSettings).mailroom_function
        keys = ConsumedRecord.keys(event.id, name)
        consumed = find(ConsumedRecord, *keys) is not None
        if not consumed:
            self.function(event)
        with Transaction(System(name=name), event.tenant_id) as transaction:
            transaction.idle(work.of_event(event.id, name))
            if not consumed:
                expiry = clock.wall() + timedelta(days=_CONSUMED_DAYS)
                transaction.save(ConsumedRecord(*keys, expires_at=expiry))


class Consumer(_QueueTrigger):
    """Messages of a queue that the platform itself fills (`kernel.queues.send`)."""

    kind = "consumer"

    def __init__(self, function: Callable[[Any], Any], queue: str, batch_size: int) -> None:
        super().__init__(function)
        self.queue, self.batch_size = queue, batch_size
        self._message: TypeAdapter[Any] = TypeAdapter(self.parameter)

    def _handle_body(self, body: str) -> None:
        message = self._message.validate_json(body)
        if tenant_id := getattr(message, "tenant_id", None):
            logger.append_keys(tenant_id=tenant_id)
        self.function(message)


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One change of a table: `INSERT`, `MODIFY` or `REMOVE`, with the item before and after."""

    name: str
    keys: Mapping[str, Any]
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    @property
    def kind(self) -> str:
        """Return the item's `kind`, by which models tell their records apart."""
        image = self.new or self.old or {}
        return str(image.get("kind", {"S": ""})["S"])

    def inserted(self, model: type[RecordT]) -> RecordT | None:
        """Return the record that was inserted, if one was and it is of this model."""
        if self.name != "INSERT" or self.new is None or self.kind != kind_of(model):
            return None
        return model.from_raw_data(dict(self.new))


class Stream(Trigger):
    """The changes of a table, in the order of each item; raising repeats the batch."""

    kind = "stream"

    def __init__(self, function: Callable[[Any], Any], table: str) -> None:
        super().__init__(function)
        self.table = table

    def _handle(self, event: dict[str, Any], _context: Any) -> None:
        started = time.perf_counter()
        records = [
            StreamRecord(
                name=record["eventName"],
                keys=record["dynamodb"]["Keys"],
                old=record["dynamodb"].get("OldImage"),
                new=record["dynamodb"].get("NewImage"),
            )
            for record in event["Records"]
        ]
        self.function(records)
        logger.info(
            "Stream", records=len(records), duration_milliseconds=_milliseconds_since(started)
        )


class Schedule(Trigger):
    """A rule of the clock; `now` is the instant that the rule fired for, also when it is late."""

    kind = "schedule"

    def __init__(self, function: Callable[[Any], Any], expression: str) -> None:
        super().__init__(function)
        self.expression = expression

    def _handle(self, event: dict[str, Any], _context: Any) -> None:
        started = time.perf_counter()
        moment = event.get("time")
        self.function(datetime.fromisoformat(moment) if moment else clock.wall())
        logger.info("Schedule", duration_milliseconds=_milliseconds_since(started))


def step(function: Callable[[InputT], OutputT]) -> Step:
    """Make a function the Lambda handler of a state machine's task."""
    return Step(function)


def subscriber(function: Callable[[EventT], None]) -> Subscriber:
    """Make a function the Lambda handler of an event type, of which each event comes once."""
    return Subscriber(function)


def consumer(queue: str, *, batch_size: int = 10) -> Callable[[Callable[[InputT], None]], Consumer]:
    """Make a function the Lambda handler of a queue's messages."""
    return lambda function: Consumer(function, queue, batch_size)


def stream(table: str) -> Callable[[Callable[[Sequence[StreamRecord]], None]], Stream]:
    """Make a function the Lambda handler of a table's changes."""
    return lambda function: Stream(function, table)


def schedule(expression: str) -> Callable[[Callable[[datetime], None]], Schedule]:
    """Make a function the Lambda handler of a schedule (`rate(…)` or `cron(…)`, in UTC)."""
    return lambda function: Schedule(function, expression)


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1_000, 1)
