"""A test tenant's clock: frozen, and moved across every domain by the tenant itself.

Moving it is asynchronous. A worker takes the timers that fall due on the way in order, sets the
clock to each and fires it, and waits before the next until all that this caused has settled: until
nothing stands in the clock record's `busy` set, in which every event, subscriber and running flow
counts itself (facts of who adds and who removes what are in `kernel.work`).

    ready -> advancing -> ready
                       -> failed    `failure` names what hangs; advancing again goes on from there
"""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pynamodb.expressions.update import Action

from kernel import clock, flows, queues, timers, work
from kernel.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    NotFoundError,
    UnprocessableError,
)
from kernel.ids import is_test_tenant
from kernel.observability import count, logger
from kernel.principals import Caller, System
from kernel.settings import KernelSettings, Settings, load
from kernel.tables import ClockRecord, GateRecord, TimerRecord
from kernel.transactions import Transaction

QUEUE: Final = "clock-advance"

READY: Final = "ready"
ADVANCING: Final = "advancing"
FAILED: Final = "failed"

Status = Literal["ready", "advancing", "failed"]

_FURTHEST: Final = timedelta(days=731)
_SKEW: Final = timedelta(minutes=1)
_ABANDONED_AFTER: Final = timedelta(minutes=15)
_SHORTEST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.25
_LOOK_AT_FLOWS_EVERY_SECONDS: Final = 0.2
"""A flow that has ended says so in no other way; Step Functions describes 15 a second."""
_PATIENCE: Final = 10
"""How often over the time that work may stand still, a timer's whole work may take."""


class TestClockSettings(Settings):
    """What the worker reads."""

    mailroom_settle_seconds: float = 60.0


class TestClock(BaseModel):
    """A test clock."""

    now: datetime = Field(examples=["2026-11-20T11:15:00Z"])
    status: Status = Field(examples=["advancing"])
    target: datetime | None = Field(
        default=None, description="Where an advance is going.", examples=["2026-12-20T11:15:00Z"]
    )
    failure: str | None = Field(
        default=None,
        description="What hung when the last advance failed, e.g. a subscriber of an event.",
        examples=[None],
    )


class CreateTestClock(BaseModel):
    """A new clock; it starts at the present, or later."""

    model_config = ConfigDict(extra="forbid")

    now: AwareDatetime | None = Field(default=None, examples=["2027-01-31T12:00:00Z"])


class AdvanceTestClock(BaseModel):
    """Where to move the clock: to a time, or by a number of days."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"days": 30}]})

    to: AwareDatetime | None = Field(default=None, examples=["2026-12-20T11:15:00Z"])
    days: int | None = Field(default=None, ge=1, le=731, examples=[30])

    @model_validator(mode="after")
    def _has_exactly_one(self) -> "AdvanceTestClock":
        if (self.to is None) == (self.days is None):
            raise ValueError("Give either `to` or `days`")
        return self


class Waiting(BaseModel):
    """A wait for work to settle: for what, since when exactly that, and since when at all."""

    busy_digest: str
    unchanged_since: datetime
    since: datetime


class AdvanceMessage(BaseModel):
    """Work for the worker; `waiting` is what it was waiting for when it handed over."""

    tenant_id: str
    waiting: Waiting | None = None


class NotATestTenantError(ForbiddenError):
    """Only test tenants have clocks."""

    code, title = "test_clock.not_a_test_tenant", "Only test tenants have a test clock"


class TestClockExistsError(ConflictError):
    """The tenant has its clock already."""

    code, title = "test_clock.exists", "The tenant has a test clock already"


class TestClockAdvancingError(ConflictError):
    """The clock is on its way."""

    code, title = "test_clock.advancing", "The test clock is advancing; wait until it is ready"


class _ClockMovedError(ConflictError):
    """Another worker moved the clock, or work began in the meantime."""


class NoTestClockError(NotFoundError):
    """The tenant has no clock."""

    code, title = "test_clock.not_found", "The tenant has no test clock"


def create(caller: Caller, now: datetime | None = None) -> TestClock:
    """Give the caller's test tenant a clock, frozen at the present or a later time."""
    if not is_test_tenant(caller.tenant_id):
        raise NotATestTenantError
    present = clock.wall()
    start = (now or present).astimezone(UTC)
    _require_between("now", start, present - _SKEW, present + _FURTHEST)
    with Transaction(caller, caller.tenant_id, at=start) as transaction:
        transaction.update(
            ClockRecord.for_tenant(caller.tenant_id),
            [ClockRecord.now.set(start), ClockRecord.status.set(READY)],
            condition=ClockRecord.now.does_not_exist(),
            conflict=TestClockExistsError(),
        )
        _set_month(transaction, caller.tenant_id, start)
        transaction.note("test_clock.created", caller.tenant_id, {"now": start.isoformat()})
    for timer in TimerRecord.of_tenant(caller.tenant_id):
        if timer.state == TimerRecord.ARMED:
            timers.reindex(timer, timers.partition_by_clock(timer.due_at, start))
    return TestClock(now=start, status=READY)


def read(caller: Caller) -> TestClock:
    """Return the tenant's clock; raises NoTestClockError. One DynamoDB call."""
    record = _find(caller.tenant_id)
    return TestClock(
        now=record.now, status=record.status, target=record.target, failure=record.failure
    )


def advance(caller: Caller, body: AdvanceTestClock) -> TestClock:
    """Send the clock on its way; raises TestClockAdvancingError while it is on one.

    A way whose worker has given no sign for a quarter of an hour does not count.
    """
    record = _find(caller.tenant_id)
    now: datetime = record.now
    target = (body.to or now + timedelta(days=body.days or 0)).astimezone(UTC)
    _require_between("to" if body.to else "days", target, now, now + _FURTHEST)
    present = clock.wall()
    idle = (
        (ClockRecord.status != ADVANCING)
        | ClockRecord.worked_at.does_not_exist()
        | (ClockRecord.worked_at < present - _ABANDONED_AFTER)
    )
    with Transaction(caller, caller.tenant_id, at=now) as transaction:
        transaction.update(
            ClockRecord.for_tenant(caller.tenant_id),
            [
                ClockRecord.status.set(ADVANCING),
                ClockRecord.target.set(target),
                ClockRecord.worked_at.set(present),
                ClockRecord.failure.remove(),
            ],
            condition=(ClockRecord.now == now) & idle,
            conflict=TestClockAdvancingError(),
        )
        transaction.note("test_clock.advanced", caller.tenant_id, {"to": target.isoformat()})
    try:
        queues.send(QUEUE, AdvanceMessage(tenant_id=caller.tenant_id))
    except Exception:
        _fail(record, "the advance could not be queued")
        raise
    return TestClock(now=now, status=ADVANCING, target=target)


def work_on(message: AdvanceMessage, *, budget_seconds: float = 40.0) -> None:
    """Move a clock towards its target; hands over to a next message when the budget is spent.

    Several workers on one clock do no harm: every move is conditional on the clock as it was read.
    """
    deadline = time.monotonic() + budget_seconds
    waiting, pause, looked_at_flows = message.waiting, _SHORTEST_PAUSE_SECONDS, 0.0
    while (record := ClockRecord.find(message.tenant_id)) and record.status == ADVANCING:
        if time.monotonic() > deadline:
            _hand_over(record, waiting)
            return
        if not record.busy:
            waiting, pause = None, _SHORTEST_PAUSE_SECONDS
            _move(record)
            continue
        earlier, waiting = waiting, _observe(waiting, record.busy)
        if earlier is None or earlier.busy_digest != waiting.busy_digest:
            pause = _SHORTEST_PAUSE_SECONDS
        if _hangs(waiting):
            _fail(record, _name(record.busy))
            return
        if time.monotonic() - looked_at_flows > _LOOK_AT_FLOWS_EVERY_SECONDS:
            looked_at_flows = time.monotonic()
            _look_after(record)
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _move(record: ClockRecord) -> None:
    """Fire the next timer on the way, or arrive; nothing when somebody else was quicker."""
    own = TimerRecord.of_tenant(record.pk)
    if half_done := [timer for timer in own if timer.state == TimerRecord.FIRING]:
        for timer in half_done:
            timers.finish(timer)
        return
    due = next((timer for timer in own if timer.due_at <= record.target), None)
    try:
        if due is None:
            _set_now(record, record.target)
        else:
            _set_now(record, max(record.now, due.due_at), firing=due)
            timers.finish(due)
    except (_ClockMovedError, timers.TimerGoneError):
        return


def _set_now(record: ClockRecord, now: datetime, *, firing: TimerRecord | None = None) -> None:
    """Move the clock, with a timer that fires or, without one, to its target; one transaction."""
    actions: list[Action] = [ClockRecord.now.set(now)]
    if firing is None:
        actions += [ClockRecord.status.set(READY), ClockRecord.target.remove()]
    else:
        actions.append(ClockRecord.worked_at.set(clock.wall()))
        if firing.execution:
            actions.append(ClockRecord.busy.add({work.of_execution(firing.execution)}))
    unmoved = (
        (ClockRecord.now == record.now)
        & (ClockRecord.target == record.target)
        & (ClockRecord.status == ADVANCING)
        & ClockRecord.busy.does_not_exist()
    )
    with Transaction(_actor(), record.pk, at=now) as transaction:
        if firing is not None:
            timers.mark(transaction, firing)
        transaction.update(record, actions, condition=unmoved, conflict=_ClockMovedError())
        if _month(now) != _month(record.now):
            _set_month(transaction, record.pk, now)


def _look_after(record: ClockRecord) -> None:
    """Take out executions that have ended, and finish timers that a crash left half done."""
    for name in sorted(record.busy or ()):
        if not name.startswith(work.FLOW):
            continue
        state_machine, execution = name.removeprefix(work.FLOW).split("/", 1)
        status = flows.status(state_machine, execution)
        if status is None or status in flows.ALIVE:
            continue
        with Transaction(_actor(), record.pk) as transaction:
            transaction.idle(name)
        if status != flows.SUCCEEDED:
            _fail(record, f"{name} {status}")
    for timer in TimerRecord.of_tenant(record.pk):
        if timer.state == TimerRecord.FIRING:
            timers.finish(timer)


def _observe(waiting: Waiting | None, busy: set[str]) -> Waiting:
    digest = hashlib.sha256("\n".join(sorted(busy)).encode()).hexdigest()
    present = clock.wall()
    if waiting is None:
        return Waiting(busy_digest=digest, unchanged_since=present, since=present)
    if waiting.busy_digest == digest:
        return waiting
    return Waiting(busy_digest=digest, unchanged_since=present, since=waiting.since)


def _hangs(waiting: Waiting) -> bool:
    bound = timedelta(seconds=load(TestClockSettings).mailroom_settle_seconds)
    present = clock.wall()
    return present - waiting.unchanged_since > bound or present - waiting.since > bound * _PATIENCE


def _fail(record: ClockRecord, failure: str) -> None:
    logger.error("Test clock failed", tenant_id=record.pk, failure=failure)
    count("TestClockFailed")
    try:
        with Transaction(_actor(), record.pk) as transaction:
            transaction.update(
                record,
                [ClockRecord.status.set(FAILED), ClockRecord.failure.set(failure)],
                condition=ClockRecord.status == ADVANCING,
                conflict=_ClockMovedError(),
            )
    except _ClockMovedError:
        return


def _hand_over(record: ClockRecord, waiting: Waiting | None) -> None:
    with Transaction(_actor(), record.pk) as transaction:
        transaction.update(record, [ClockRecord.worked_at.set(clock.wall())])
    queues.send(QUEUE, AdvanceMessage(tenant_id=record.pk, waiting=waiting))


def _set_month(transaction: Transaction, tenant_id: str, now: datetime) -> None:
    """Tell the gate which month it is, as API calls are counted by the tenant's months."""
    transaction.update(
        GateRecord.for_tenant(tenant_id),
        [GateRecord.clock_month.set(_month(now))],
        condition=GateRecord.status.exists(),
        conflict=NotFoundError("The tenant has no gate."),
    )


def _month(moment: datetime) -> str:
    return f"{moment:%Y-%m}"


def _find(tenant_id: str) -> ClockRecord:
    record = ClockRecord.find(tenant_id)
    if record is None or not record.is_owned:
        raise NoTestClockError
    return record


def _require_between(field: str, moment: datetime, after: datetime, until: datetime) -> None:
    if not after < moment <= until:
        message = f"Must be after {after.isoformat()} and at most {until.isoformat()}."
        raise UnprocessableError(errors=[FieldError(f"body.{field}", "out_of_range", message)])


def _name(busy: set[str]) -> str:
    names = sorted(busy)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _actor() -> System:
    return System(name=load(KernelSettings).mailroom_function)
