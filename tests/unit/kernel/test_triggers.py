from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from contracts.events import PLATFORM, Event
from kernel import clock, work
from kernel.principals import System
from kernel.tables import ClockRecord, ConsumedRecord, IdempotencyRecord, JournalRecord, find
from kernel.transactions import Transaction
from kernel.triggers import StreamRecord, consumer, schedule, step, stream, subscriber
from tests.callers import make_tenant
from tests.doubles import bus_event, sqs_event, stream_event

SUBSCRIBER = "kernel/tests"


class KiteFlown(Event, type="tests.kite_flown"):
    height: int


class Flight(BaseModel):
    tenant_id: str
    height: int


class Landing(BaseModel):
    at: datetime


def kite(tenant_id: str = "tnt_1", height: int = 3) -> KiteFlown:
    return KiteFlown(tenant_id=tenant_id, subject="kite_1", occurred_at=clock.wall(), height=height)


def failures(response: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


class TestStep:
    def test_a_model_in_and_a_model_out(self) -> None:
        @step
        def handler(flight: Flight) -> Landing:
            assert flight == Flight(tenant_id="tnt_1", height=3)
            return Landing(at=datetime(2026, 11, 20, tzinfo=UTC))

        assert handler({"tenant_id": "tnt_1", "height": 3}, None) == {"at": "2026-11-20T00:00:00Z"}
        assert (handler.kind, handler.input_model, handler.output_model) == (
            "step",
            Flight,
            Landing,
        )

    def test_a_step_may_return_nothing(self) -> None:
        @step
        def handler(flight: Flight) -> None:
            return None

        assert handler({"tenant_id": "tnt_1", "height": 3}, None) is None

    def test_a_wrong_input_fails_the_task(self) -> None:
        @step
        def handler(flight: Flight) -> None:
            raise AssertionError

        with pytest.raises(ValidationError):
            handler({"tenant_id": "tnt_1"}, None)

    def test_a_handler_takes_one_annotated_parameter(self) -> None:
        with pytest.raises(TypeError, match="one annotated parameter"):
            step(lambda flight: None)


@pytest.mark.usefixtures("tables")
class TestSubscriber:
    def test_gets_the_event_that_its_annotation_names(self) -> None:
        seen: list[KiteFlown] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            seen.append(event)

        event = kite()
        assert handler(sqs_event(bus_event(event)), None) == {"batchItemFailures": []}
        assert seen == [event]
        assert (handler.kind, handler.event_type) == ("subscriber", "tests.kite_flown")

    def test_an_event_that_comes_twice_is_handled_once(self) -> None:
        seen: list[str] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            seen.append(event.id)

        event = kite()
        handler(sqs_event(bus_event(event), bus_event(event)), None)
        handler(sqs_event(bus_event(event)), None)
        assert seen == [event.id]

    def test_only_what_failed_comes_again(self) -> None:
        handled: list[int] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            if event.height > 100 and not handled:
                raise RuntimeError("too high")
            handled.append(event.height)

        high, low = kite(height=101), kite(height=1)
        first = handler(sqs_event(bus_event(high), bus_event(low)), None)
        assert failures(first) == ["message-0"]
        assert failures(handler(sqs_event(bus_event(high)), None)) == []
        assert handled == [1, 101]

    @pytest.mark.parametrize(
        "poison",
        ["", "not json", "[]", "{}", '{"detail": null}', '{"detail": {"id": "evt_1"}}'],
    )
    def test_what_cannot_be_read_fails_alone(self, poison: str) -> None:
        seen: list[str] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            seen.append(event.id)

        event = kite()
        response = handler(sqs_event(poison, bus_event(event)), None)
        assert failures(response) == ["message-0"]
        assert seen == [event.id]

    def test_a_newer_contract_can_be_read(self) -> None:
        seen: list[int] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            seen.append(event.height)

        document = bus_event(kite())
        document["detail"]["colour"] = "red"
        handler(sqs_event(document), None)
        assert seen == [3]

    def test_the_memory_of_an_event_ends(self) -> None:
        @subscriber
        def handler(event: KiteFlown) -> None: ...

        event = kite()
        handler(sqs_event(bus_event(event)), None)
        record = find(ConsumedRecord, *ConsumedRecord.keys(event.id, SUBSCRIBER))
        assert record is not None
        assert record.expires_at is not None
        assert (record.expires_at - clock.wall()).days in {13, 14}

    def test_an_event_leaves_busy_when_it_is_done_and_not_before(self) -> None:
        tenant_id = make_tenant("test")
        event = kite(tenant_id)
        token = work.of_event(event.id, SUBSCRIBER)
        count(tenant_id, token, "event/another/subscriber")
        during: list[set[str]] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            during.append(busy(tenant_id))

        handler(sqs_event(bus_event(event)), None)
        assert during == [{token, "event/another/subscriber"}]
        assert busy(tenant_id) == {"event/another/subscriber"}

    def test_a_double_that_is_skipped_leaves_busy_too(self) -> None:
        tenant_id = make_tenant("test")
        event = kite(tenant_id)

        @subscriber
        def handler(event: KiteFlown) -> None: ...

        handler(sqs_event(bus_event(event)), None)
        count(tenant_id, work.of_event(event.id, SUBSCRIBER))
        handler(sqs_event(bus_event(event)), None)
        assert busy(tenant_id) == set()

    def test_an_event_that_failed_stays_busy(self) -> None:
        tenant_id = make_tenant("test")
        event = kite(tenant_id)
        token = work.of_event(event.id, SUBSCRIBER)
        count(tenant_id, token)

        @subscriber
        def handler(event: KiteFlown) -> None:
            raise RuntimeError

        handler(sqs_event(bus_event(event)), None)
        assert busy(tenant_id) == {token}

    def test_an_event_of_no_tenant_is_not_counted(self) -> None:
        seen: list[str] = []

        @subscriber
        def handler(event: KiteFlown) -> None:
            seen.append(event.tenant_id)

        handler(sqs_event(bus_event(kite(PLATFORM))), None)
        assert seen == [PLATFORM]
        assert ClockRecord.find(PLATFORM) is None


class TestConsumer:
    def test_gets_the_messages_of_its_queue(self) -> None:
        seen: list[int] = []

        @consumer("flights", batch_size=2)
        def handler(message: Flight) -> None:
            if message.height < 0:
                raise RuntimeError
            seen.append(message.height)

        good, bad = {"tenant_id": "tnt_1", "height": 3}, {"tenant_id": "tnt_1", "height": -1}
        response = handler(sqs_event(bad, good, "poison"), None)
        assert failures(response) == ["message-0", "message-2"]
        assert seen == [3]
        assert (handler.kind, handler.queue, handler.batch_size) == ("consumer", "flights", 2)

    def test_behind_a_fifo_queue_a_failure_holds_its_group_back(self) -> None:
        seen: list[int] = []

        @consumer("flights.fifo")
        def handler(message: Flight) -> None:
            if message.height < 0:
                raise RuntimeError
            seen.append(message.height)

        heights = (1, -1, 2)
        event = sqs_event(*({"tenant_id": "t", "height": height} for height in heights), group="t")
        event["Records"] += [
            record | {"messageId": "other"}
            for record in sqs_event({"tenant_id": "u", "height": 9}, group="u")["Records"]
        ]
        assert failures(handler(event, None)) == ["message-1", "message-2"]
        assert seen == [1, 9]


@pytest.mark.usefixtures("tables")
class TestStream:
    def test_gets_changes_as_records(self) -> None:
        seen: list[str] = []

        @stream("journal")
        def handler(records: Sequence[StreamRecord]) -> None:
            seen.extend(fact.sk for item in records if (fact := item.inserted(JournalRecord)))

        tenant_id = make_tenant("live")
        event = kite(tenant_id)
        with Transaction(System(name="tests"), tenant_id) as transaction:
            transaction.emit(event)
        fact = next(iter(JournalRecord.scan()))
        other = IdempotencyRecord("pk", "sk", body_hash="hash", resource_id="id")
        handler(stream_event(fact, other), None)
        handler(stream_event(fact, name="MODIFY"), None)

        assert seen == [event.id]
        assert (handler.kind, handler.table) == ("stream", "journal")

    def test_what_is_removed_has_no_new_image(self) -> None:
        seen: list[StreamRecord] = []

        @stream("journal")
        def handler(records: Sequence[StreamRecord]) -> None:
            seen.extend(records)

        keys = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        image = {**keys, "kind": {"S": "fact"}}
        change = {"eventName": "REMOVE", "dynamodb": {"Keys": keys, "OldImage": image}}
        handler({"Records": [change]}, None)
        [record] = seen
        assert record.kind == "fact"
        assert record.new is None
        assert record.inserted(JournalRecord) is None

    def test_raising_repeats_the_batch(self) -> None:
        @stream("journal")
        def handler(records: Sequence[StreamRecord]) -> None:
            raise RuntimeError("the bus is down")

        with pytest.raises(RuntimeError):
            handler({"Records": []}, None)


class TestSchedule:
    def test_gets_the_instant_that_the_rule_fired_for(self) -> None:
        seen: list[datetime] = []

        @schedule("rate(1 minute)")
        def handler(now: datetime) -> None:
            seen.append(now)

        handler({"time": "2026-11-20T11:15:00Z", "detail-type": "Scheduled Event"}, None)
        assert seen == [datetime(2026, 11, 20, 11, 15, tzinfo=UTC)]
        assert (handler.kind, handler.expression) == ("schedule", "rate(1 minute)")

    def test_without_an_instant_it_is_the_present(self) -> None:
        seen: list[datetime] = []

        @schedule("rate(1 minute)")
        def handler(now: datetime) -> None:
            seen.append(now)

        before = clock.wall()
        handler({}, None)
        assert before <= seen[0] <= clock.wall()


def count(tenant_id: str, *names: str) -> None:
    with Transaction(System(name="tests"), tenant_id) as transaction:
        transaction.busy(*names)


def busy(tenant_id: str) -> set[str]:
    record = ClockRecord.find(tenant_id)
    return set(record.busy or ()) if record else set()
