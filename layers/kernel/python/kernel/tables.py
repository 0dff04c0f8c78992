"""The kernel's tables: `gate` (admission), `journal` (outbox, audit, deduplication), `timers`.

PynamoDB models are the source of keys and indexes: the CDK app and the tests build their tables
from `ALL`. Only this module queries them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

from pynamodb.attributes import (
    DiscriminatorAttribute,
    JSONAttribute,
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from kernel import aws
from kernel.pagination import decode_cursor, encode_cursor
from kernel.settings import resource_name


class Table(Model):
    """Root of every table's base model: string keys `pk` and `sk`, and TTL.

    Each base model has a `kind` of its own, or its records would be taken for all tables'.
    """

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = TTLAttribute(null=True)

    @classmethod
    def _get_connection(cls) -> TableConnection:
        """Return the model's connection on the worker's one client; PynamoDB makes one a model."""
        connection = super()._get_connection()
        inner = connection.connection
        if inner._client is None:  # noqa: SLF001 - PynamoDB takes no client otherwise
            inner._client = aws.client("dynamodb")  # noqa: SLF001
        return connection


RecordT = TypeVar("RecordT", bound=Table)


def find(model: type[RecordT], pk: str, sk: str) -> RecordT | None:
    """Return the record with these keys by a consistent read, or None."""
    try:
        return model.get(pk, sk, consistent_read=True)
    except DoesNotExist:
        return None


def kind_of(model: type[Table]) -> str:
    """Return the `kind` that a model's records have in their table."""
    discriminator: Any = model.get_attributes()["kind"]
    return str(discriminator.get_discriminator(model))


def query_page(
    model: type[RecordT],
    pk: str,
    *,
    prefix: str,
    limit: int,
    cursor: str | None = None,
    newest_first: bool = True,
    where: Condition | None = None,
) -> tuple[list[RecordT], str | None]:
    """Return one page of a partition's records whose sort keys begin with `prefix`, in one query.

    The second value is the cursor of the next page, or None. Sort keys end in an id that sorts by
    time, so `newest_first` needs no index. A page that `where` thins out is filled by further
    queries. Raises InvalidCursorError.
    """
    after = decode_cursor(cursor, prefix=prefix)
    results = model.query(
        pk,
        model.sk.startswith(prefix),
        where,
        consistent_read=True,
        scan_index_forward=not newest_first,
        limit=limit,
        page_size=limit,
        last_evaluated_key={"pk": {"S": pk}, "sk": {"S": after}} if after else None,
    )
    records = list(results)
    following = results.last_evaluated_key
    return records, encode_cursor(following["sk"]["S"] if following else None)


class GateTable(Table):
    """Admission: one item per tenant, look-ups of API keys, and limits of public routes."""

    class Meta:
        table_name = resource_name("gate")

    kind = DiscriminatorAttribute()


class GateRecord(GateTable, discriminator="gate"):
    """What admission decides by; `kernel.gate` documents each attribute and counter."""

    status = UnicodeAttribute()
    revoked: MapAttribute[str, Any] = MapAttribute(default=dict)
    entitlements_version = NumberAttribute(default=0)
    limit_user_minute = NumberAttribute()
    limit_tenant_minute = NumberAttribute()
    limit_key_minute = NumberAttribute(null=True)
    limit_key_hour = NumberAttribute(null=True)
    limit_key_day = NumberAttribute(null=True)
    limit_month = NumberAttribute(null=True)
    clock_month = UnicodeAttribute(null=True)

    @classmethod
    def for_tenant(cls, tenant_id: str, **attributes: Any) -> "GateRecord":
        """Return the record of a tenant, with its keys set."""
        return cls(pk=tenant_id, sk="GATE", **attributes)


class KeyRecord(GateTable, discriminator="key"):
    """An API key by the SHA-256 of its secret: whose it is and what it may do."""

    tenant_id = UnicodeAttribute()
    key_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    role = UnicodeAttribute(default="")
    permissions = UnicodeSetAttribute(null=True)

    @property
    def has_expired(self) -> bool:
        """Tell whether the key's time is over, though DynamoDB has not removed it yet."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    @classmethod
    def for_secret(cls, secret_hash: str, **attributes: Any) -> "KeyRecord":
        """Return the record of a secret's hash, with its keys set."""
        return cls(pk=f"KEYHASH#{secret_hash}", sk="KEY", **attributes)


class JournalTable(Table):
    """Facts and doubles: outbox-and-audit items, idempotency keys, events already consumed."""

    class Meta:
        table_name = resource_name("journal")

    kind = DiscriminatorAttribute()


class JournalRecord(JournalTable, discriminator="fact"):
    """One change: the `event` that is published (if any) and the `audit` that is not."""

    tenant_id = UnicodeAttribute()
    occurred_at = UTCDateTimeAttribute()
    subject = UnicodeAttribute()
    event_type = UnicodeAttribute(null=True)
    event = UnicodeAttribute(null=True)
    audit: JSONAttribute = JSONAttribute()

    @staticmethod
    def partition(tenant_id: str, moment: datetime) -> str:
        """Return the partition key of a tenant's month."""
        return f"{tenant_id}#{moment:%Y-%m}"

    @classmethod
    def page(
        cls, tenant_id: str, month: datetime, *, limit: int, cursor: str | None = None
    ) -> tuple[list["JournalRecord"], str | None]:
        """Return a page of a tenant's facts of one month, newest first, and the next cursor."""
        pk = cls.partition(tenant_id, month)
        return query_page(cls, pk, prefix="evt_", limit=limit, cursor=cursor)

    @classmethod
    def between(
        cls, tenant_id: str, month: datetime, first: str, last: str
    ) -> Iterator["JournalRecord"]:
        """Yield a tenant's facts of one month with ids from `first` to `last`, oldest first."""
        yield from cls.query(cls.partition(tenant_id, month), cls.sk.between(first, last))


class IdempotencyRecord(JournalTable, discriminator="idempotency"):
    """What a request with an Idempotency-Key made; written in the operation's own transaction."""

    body_hash = UnicodeAttribute()
    resource_id = UnicodeAttribute()

    @classmethod
    def keys(cls, tenant_id: str, route: str, key: str) -> tuple[str, str]:
        """Return partition and sort key of a request."""
        return f"{tenant_id}#IDEMPOTENCY", f"{route}#{key}"


class ConsumedRecord(JournalTable, discriminator="consumed"):
    """An event that a subscriber has finished with."""

    @classmethod
    def keys(cls, event_id: str, subscriber: str) -> tuple[str, str]:
        """Return partition and sort key of an event at a subscriber."""
        return f"CONSUMED#{event_id}", subscriber


class DueIndex(GlobalSecondaryIndex["TimerRecord"]):
    """Timers by when they are due: a minute for wall time, a tenant for its test clock."""

    class Meta:
        index_name = "by_due"
        projection = AllProjection()

    due_partition = UnicodeAttribute(hash_key=True)
    due_at = UTCDateTimeAttribute(range_key=True)


class TimersTable(Table):
    """Waits: timers by subject, test clocks, and how far the minute schedule has come."""

    class Meta:
        table_name = resource_name("timers")

    kind = DiscriminatorAttribute()


class TimerRecord(TimersTable, discriminator="timer"):
    """One wait: due when, and the task token or target that its end wakes.

    A timer is `armed`, then `firing` until what it wakes has been woken, then gone. `arming`
    differs for every time that it is armed.
    """

    ARMED: ClassVar[str] = "armed"
    FIRING: ClassVar[str] = "firing"

    due_partition = UnicodeAttribute(null=True)
    due_at = UTCDateTimeAttribute()
    tenant_id = UnicodeAttribute()
    subject = UnicodeAttribute()
    name = UnicodeAttribute()
    state = UnicodeAttribute(default=ARMED)
    arming = UnicodeAttribute()
    outcome = UnicodeAttribute(null=True)
    attempts = NumberAttribute(default=0)
    task_token = UnicodeAttribute(null=True)
    target = UnicodeAttribute(null=True)
    payload: JSONAttribute = JSONAttribute(null=True)
    execution = UnicodeAttribute(null=True)
    by_due = DueIndex()

    @staticmethod
    def sort_key(subject: str, name: str) -> str:
        """Return the sort key of a subject's timer; a subject holds no `#`."""
        if "#" in subject:
            raise ValueError(f"The subject of a timer holds no #: {subject}")
        return f"TIMER#{subject}#{name}"

    @staticmethod
    def minute_partition(moment: datetime) -> str:
        """Return the partition of the index that the schedule reads when the minute has come."""
        return f"MINUTE#{moment.astimezone(UTC):%Y-%m-%dT%H:%M}"

    @classmethod
    def find(cls, tenant_id: str, subject: str, name: str) -> "TimerRecord | None":
        """Return a timer by a consistent read, or None."""
        return find(cls, tenant_id, cls.sort_key(subject, name))

    @classmethod
    def of_subject(cls, tenant_id: str, subject: str) -> list["TimerRecord"]:
        """Return a subject's timers, read consistently."""
        prefix = cls.sort_key(subject, "")
        return list(cls.query(tenant_id, cls.sk.startswith(prefix), consistent_read=True))

    @classmethod
    def of_tenant(cls, tenant_id: str) -> list["TimerRecord"]:
        """Return a tenant's timers in the order in which they fall due, read consistently.

        An index could not be read consistently, and would hide a timer that was just armed.
        """
        timers = cls.query(tenant_id, cls.sk.startswith("TIMER#"), consistent_read=True)
        return sorted(timers, key=lambda timer: (timer.due_at, timer.sk))

    @classmethod
    def in_minute(cls, minute: datetime, *, until: datetime) -> Iterator["TimerRecord"]:
        """Yield the timers of one minute's partition; of a minute that runs, those due `until`."""
        over = minute + timedelta(minutes=1) <= until
        due = None if over else cls.due_at <= until
        yield from cls.by_due.query(cls.minute_partition(minute), due)


class FlowRecord(TimersTable, discriminator="flow"):
    """A flow that was started, so that starting it again is harmless."""

    STARTING: ClassVar[str] = "starting"
    STARTED: ClassVar[str] = "started"

    state = UnicodeAttribute(default=STARTING)

    @classmethod
    def keys(cls, tenant_id: str, state_machine: str, name: str) -> tuple[str, str]:
        """Return partition and sort key of an execution."""
        return tenant_id, f"FLOW#{state_machine}#{name}"


class ClockRecord(TimersTable, discriminator="clock"):
    """A test tenant's clock: its frozen time (if it owns one), and what is still `busy`."""

    now = UTCDateTimeAttribute(null=True)
    target = UTCDateTimeAttribute(null=True)
    status = UnicodeAttribute(default="ready")
    failure = UnicodeAttribute(null=True)
    worked_at = UTCDateTimeAttribute(null=True)
    busy = UnicodeSetAttribute(null=True)

    @property
    def is_owned(self) -> bool:
        """Tell whether the tenant has a clock; work is counted here for every test tenant."""
        return self.now is not None

    @classmethod
    def for_tenant(cls, tenant_id: str, **attributes: Any) -> "ClockRecord":
        """Return the clock record of a tenant, with its keys set."""
        return cls(pk=tenant_id, sk="CLOCK", **attributes)

    @classmethod
    def find(cls, tenant_id: str) -> "ClockRecord | None":
        """Return a tenant's clock record by a consistent read, or None."""
        return find(cls, tenant_id, "CLOCK")


class CheckpointRecord(TimersTable, discriminator="checkpoint"):
    """The last minute whose timers have all been fired by the wall clock."""

    minute = UTCDateTimeAttribute()

    @classmethod
    def of_schedule(cls, **attributes: Any) -> "CheckpointRecord":
        """Return the schedule's one record, with its keys set."""
        return cls(pk="CHECKPOINT", sk="CHECKPOINT", **attributes)

    @classmethod
    def find(cls) -> "CheckpointRecord | None":
        """Return how far the schedule has come, by a consistent read, or None."""
        return find(cls, "CHECKPOINT", "CHECKPOINT")


ALL: tuple[type[Table], ...] = (GateTable, JournalTable, TimersTable)
