"""From the journal to the bus: each event at least once, in no order.

For test tenants the events are also counted: one on its way to the bus (`event/<id>`, counted by
the transaction that wrote it) becomes one at each of its subscribers (`event/<id>/<subscriber>`)
before the bus has it, so that the test clock never sees a gap between the two.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kernel import aws, clock, work
from kernel.ids import is_test_tenant, lowest_id
from kernel.principals import System
from kernel.settings import KernelSettings, load, resource_name
from kernel.tables import JournalRecord
from kernel.transactions import Transaction

Subscribers = Mapping[str, Sequence[str]]
"""Names of subscribers (`<context>/<function file>`) by event type; generated from the tree."""

_BATCH: Final = 10
_BATCH_BYTES: Final = 240 * 1024


class NotPublishedError(Exception):
    """The bus did not take all events; the caller repeats them all."""


def publish(records: Iterable[JournalRecord], subscribers: Subscribers) -> int:
    """Send the records' events to the bus and return how many; raises NotPublishedError.

    The caller must pass the error on: a stream then delivers the batch again.
    """
    events = [record for record in records if record.event]
    _count(events, subscribers)
    for batch in _batches(events):
        _put(batch)
    _uncount(events)
    return len(events)


def republish(
    tenant_id: str,
    since: datetime,
    until: datetime,
    subscribers: Subscribers,
    *,
    after: str | None = None,
    limit: int = 1_000,
) -> tuple[int, str | None]:
    """Send the events of a time again, oldest first; those that a subscriber finished it skips.

    Returns how many were sent and, when there are more than `limit`, the id `after` which the next
    call goes on.
    """
    first, last = after or lowest_id("evt", since), lowest_id("evt", until)
    batch: list[JournalRecord] = []
    for month in _months(since, until):
        for record in JournalRecord.between(tenant_id, month, first, last):
            if record.event and record.sk != after:
                batch.append(record)
            if len(batch) == limit:
                return publish(batch, subscribers), batch[-1].sk
    return publish(batch, subscribers), None


def _count(events: Sequence[JournalRecord], subscribers: Subscribers) -> None:
    """Count each event at each of its subscribers; sets make repeats harmless."""
    for tenant_id, own in _by_test_tenant(events).items():
        names = {record.sk: subscribers.get(str(record.event_type), ()) for record in own}
        with Transaction(_actor(), tenant_id) as transaction:
            transaction.busy(
                *(work.of_event(event_id, name) for event_id in names for name in names[event_id])
            )


def _uncount(events: Sequence[JournalRecord]) -> None:
    for tenant_id, own in _by_test_tenant(events).items():
        with Transaction(_actor(), tenant_id) as transaction:
            transaction.idle(*(work.of_event(record.sk) for record in own))


def _by_test_tenant(events: Sequence[JournalRecord]) -> Mapping[str, list[JournalRecord]]:
    grouped: dict[str, list[JournalRecord]] = defaultdict(list)
    for record in events:
        if is_test_tenant(record.tenant_id):
            grouped[record.tenant_id].append(record)
    return grouped


def _batches(events: Sequence[JournalRecord]) -> Iterator[list[dict[str, Any]]]:
    """Yield entries in batches that PutEvents takes: ten at most, and 256 KB together."""
    batch: list[dict[str, Any]] = []
    size = 0
    for record in events:
        entry = {
            "EventBusName": resource_name("events"),
            "Source": str(record.event_type).partition(".")[0],
            "DetailType": record.event_type,
            "Detail": record.event,
            "Resources": [record.tenant_id],
        }
        length = len(str(record.event).encode())
        if batch and (len(batch) == _BATCH or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    if batch:
        yield batch


def _put(batch: list[dict[str, Any]]) -> None:
    response = aws.client("events").put_events(Entries=batch)
    if response["FailedEntryCount"]:
        codes = {entry["ErrorCode"] for entry in response["Entries"] if "ErrorCode" in entry}
        failed = f"{response['FailedEntryCount']} of {len(batch)} events"
        raise NotPublishedError(f"The bus refused {failed}: {', '.join(sorted(codes))}")


def _months(since: datetime, until: datetime) -> Iterator[datetime]:
    month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= until:
        yield month
        month = clock.next_month(month)


def _actor() -> System:
    return System(name=load(KernelSettings).mailroom_function)
