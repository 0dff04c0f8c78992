import json
from datetime import UTC, datetime, timedelta

import pytest

from contracts.events import PLATFORM, Event
from kernel import clock, outbox, queues
from kernel.ids import lowest_id, new_id
from kernel.outbox import NotPublishedError
from kernel.principals import System
from kernel.tables import ClockRecord, JournalRecord
from kernel.transactions import Transaction
from tests.callers import make_tenant
from tests.doubles import EventBus, Queue

pytestmark = pytest.mark.usefixtures("tables")

ACTOR = System(name="kernel/tests")
SUBSCRIBERS = {"tests.lamp_lit": ("one/lights", "two/lights"), "tests.lamp_broken": ()}


class LampLit(Event, type="tests.lamp_lit"):
    colour: str


class LampBroken(Event, type="tests.lamp_broken"):
    pass


def lit(tenant_id: str, colour: str = "red") -> LampLit:
    return LampLit(tenant_id=tenant_id, subject="lamp_1", occurred_at=clock.wall(), colour=colour)


def emit(*events: Event) -> list[JournalRecord]:
    for event in events:
        with Transaction(ACTOR, event.tenant_id) as transaction:
            transaction.emit(event)
    ids = {event.id for event in events}
    facts = [fact for fact in JournalRecord.scan() if fact.sk in ids]
    return sorted(facts, key=lambda fact: fact.sk)


def busy(tenant_id: str) -> set[str]:
    record = ClockRecord.find(tenant_id)
    return set(record.busy or ()) if record else set()


def test_events_arrive_as_the_contract_says(bus: EventBus) -> None:
    event = lit(make_tenant("live"), "green")
    assert outbox.publish(emit(event), SUBSCRIBERS) == 1

    [taken] = bus.take()
    assert (taken["source"], taken["detail-type"]) == ("tests", "tests.lamp_lit")
    assert LampLit.model_validate(taken["detail"]) == event
    assert taken["resources"] == [event.tenant_id]


def test_audit_entries_are_not_published(bus: EventBus) -> None:
    tenant_id = make_tenant("live")
    with Transaction(ACTOR, tenant_id) as transaction:
        transaction.note("lamp.looked_at", "lamp_1", {"by": "somebody"})

    assert outbox.publish(list(JournalRecord.scan()), SUBSCRIBERS) == 0
    assert bus.take() == []


def test_the_audit_part_of_a_fact_stays_at_home(bus: EventBus) -> None:
    tenant_id = make_tenant("live")
    with Transaction(ACTOR, tenant_id) as transaction:
        transaction.emit(lit(tenant_id), changes={"colour": "a private matter"})
    outbox.publish(list(JournalRecord.scan()), SUBSCRIBERS)

    assert "a private matter" not in json.dumps(bus.take())


def test_more_than_a_batch_arrives_whole(bus: EventBus) -> None:
    tenant_id = make_tenant("live")
    facts = emit(*(lit(tenant_id, str(number)) for number in range(23)))
    outbox.publish(facts, SUBSCRIBERS)

    assert {event["detail"]["colour"] for event in bus.take()} == set(map(str, range(23)))


def test_batches_stay_below_what_the_bus_takes() -> None:
    tenant_id = make_tenant("live")
    facts = emit(*(lit(tenant_id, "x" * 100_000) for _ in range(5)))
    batches = list(outbox._batches(facts))

    assert [len(batch) for batch in batches] == [2, 2, 1]


def test_an_event_that_the_bus_refuses_raises(bus: EventBus) -> None:
    bus.refuses = True
    facts = emit(lit(make_tenant("live")))

    with pytest.raises(NotPublishedError, match="1 of 1 events: ThrottlingException"):
        outbox.publish(facts, SUBSCRIBERS)


def test_an_event_is_counted_at_its_subscribers_before_it_leaves_busy(bus: EventBus) -> None:
    tenant_id = make_tenant("test")
    event = lit(tenant_id)
    facts = emit(event)
    assert busy(tenant_id) == {f"event/{event.id}"}

    outbox.publish(facts, SUBSCRIBERS)
    assert busy(tenant_id) == {f"event/{event.id}/one/lights", f"event/{event.id}/two/lights"}


def test_an_event_that_was_refused_stays_busy(bus: EventBus) -> None:
    bus.refuses = True
    tenant_id = make_tenant("test")
    event = lit(tenant_id)
    with pytest.raises(NotPublishedError):
        outbox.publish(emit(event), SUBSCRIBERS)

    assert f"event/{event.id}" in busy(tenant_id)


@pytest.mark.parametrize("subscribers", [SUBSCRIBERS, {}])
def test_an_event_that_nobody_waits_for_settles(
    bus: EventBus, subscribers: dict[str, tuple[str, ...]]
) -> None:
    tenant_id = make_tenant("test")
    event = LampBroken(tenant_id=tenant_id, subject="lamp_1", occurred_at=clock.wall())
    outbox.publish(emit(event), subscribers)

    assert busy(tenant_id) == set()
    assert len(bus.take()) == 1


def test_events_of_no_tenant_are_published(bus: EventBus) -> None:
    outbox.publish(emit(lit(PLATFORM)), SUBSCRIBERS)

    assert len(bus.take()) == 1


def test_republish_sends_the_events_of_a_time_in_their_order(bus: EventBus) -> None:
    tenant_id, other = make_tenant("live"), make_tenant("live")
    begin = clock.wall()
    for colour in ("red", "green", "blue"):
        emit(lit(tenant_id, colour))
    emit(lit(other, "somebody else's"))
    end = clock.wall() + timedelta(seconds=1)

    assert outbox.republish(tenant_id, begin, end, SUBSCRIBERS) == (3, None)
    assert [event["detail"]["colour"] for event in bus.take()] == ["red", "green", "blue"]
    assert outbox.republish(tenant_id, begin - timedelta(days=70), begin, SUBSCRIBERS)[0] == 0
    assert outbox.republish(tenant_id, end, end + timedelta(days=70), SUBSCRIBERS)[0] == 0


def test_republish_goes_on_where_it_stopped(bus: EventBus) -> None:
    tenant_id = make_tenant("live")
    begin = clock.wall()
    facts = emit(*(lit(tenant_id, str(number)) for number in range(5)))
    end = clock.wall() + timedelta(seconds=1)

    first = outbox.republish(tenant_id, begin, end, SUBSCRIBERS, limit=3)
    assert first == (3, facts[2].sk)
    assert outbox.republish(tenant_id, begin, end, SUBSCRIBERS, after=first[1], limit=3) == (
        2,
        None,
    )
    assert len(bus.take()) == 5


def test_republish_spans_months(bus: EventBus) -> None:
    tenant_id = make_tenant("live")
    moments = [datetime(2026, month, 28, tzinfo=UTC) for month in (9, 10, 11)]
    for moment in moments:
        event = lit(tenant_id, f"{moment:%B}")
        JournalRecord(
            JournalRecord.partition(tenant_id, moment),
            lowest_id("evt", moment),
            tenant_id=tenant_id,
            occurred_at=moment,
            subject=event.subject,
            event_type=event.type,
            event=event.model_dump_json(),
            audit={},
        ).save()

    published, _ = outbox.republish(tenant_id, moments[0], moments[2], SUBSCRIBERS)
    assert published == 3
    assert [event["detail"]["colour"] for event in bus.take()] == [
        "September",
        "October",
        "November",
    ]


def test_a_republished_event_is_counted(bus: EventBus) -> None:
    tenant_id = make_tenant("test")
    begin = clock.wall()
    event = lit(tenant_id)
    outbox.publish(emit(event), SUBSCRIBERS)
    ClockRecord.for_tenant(tenant_id).update(actions=[ClockRecord.busy.remove()])

    outbox.republish(tenant_id, begin, clock.wall() + timedelta(seconds=1), SUBSCRIBERS)
    assert f"event/{event.id}/one/lights" in busy(tenant_id)


def test_a_message_reaches_its_queue() -> None:
    queue = Queue("mailroom-local-lamps")
    queues.send("lamps", lit("tnt_1"))

    assert [message["colour"] for message in queue.take()] == ["red"]


def test_a_message_waits_no_longer_than_a_queue_can() -> None:
    with pytest.raises(ValueError, match="arm a timer"):
        queues.send("lamps", lit("tnt_1"), delay_seconds=901)


def test_lowest_id_parts_ids_by_time() -> None:
    before = new_id("evt")
    moment = clock.wall() + timedelta(seconds=1)

    assert before < lowest_id("evt", moment) < lowest_id("evt", moment + timedelta(seconds=1))
