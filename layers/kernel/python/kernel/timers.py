"""Timers: the only way to wait for longer than a queue can delay.

A timer belongs to a tenant, a subject and a name. When it is due it wakes the state machine whose
task token it holds, or starts its `target`. Due means by the tenant's time: a live tenant's timers
lie in the index under their minute and are fired by the schedule; those of a tenant that owns a
test clock lie in no minute and are fired by `kernel.test_clock`.

A timer fires at least once, and nothing is lost by a crash: it is marked `firing`, then what it
wakes is woken, then it is deleted. Whoever finds one that is marked wakes and deletes it again,
which is harmless: a task token works once, a flow of one name starts once. Cancelling, signalling
and firing exclude each other by a condition on the mark.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError
from pydantic import BaseModel

from kernel import aws, clock, flows, work
from kernel.errors import ConflictError
from kernel.gate import ACTIVE
from kernel.ids import is_test_tenant, new_id
from kernel.observability import count, logger
from kernel.principals import System
from kernel.settings import KernelSettings, load
from kernel.tables import CheckpointRecord, ClockRecord, GateRecord, TimerRecord, find
from kernel.transactions import Transaction

DUE: Final = "due"
"""The outcome of a wait whose time has come."""

_MINUTE: Final = timedelta(minutes=1)
_OVERLAP: Final = timedelta(minutes=5)
"""How far back the schedule looks again: the index lags, clocks differ, and writes take time."""
_FIRST_LOOK_BACK: Final = timedelta(hours=2)
_PARKED_FOR: Final = timedelta(minutes=5)
_LONGEST_BACK_OFF: Final = timedelta(hours=1)
_RUNNING_ON: Final = frozenset({ACTIVE, "payment"})
_WORKERS: Final = 8
_ARM_ATTEMPTS: Final = 5
_TOKEN_IS_USED: Final = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})


class TimerGoneError(ConflictError):
    """The timer was fired, cancelled or armed anew in the meantime."""


class _FiringError(ConflictError):
    """The timer that is to be replaced is marked, but what it wakes may not be awake yet."""


def arm(
    tenant_id: str,
    subject: str,
    name: str,
    due_at: datetime,
    *,
    task_token: str | None = None,
    execution: str | None = None,
    target: str | None = None,
    payload: BaseModel | None = None,
) -> None:
    """Arm a timer, or arm it anew: a subject has one timer of a name.

    It holds either the `task_token` of an `execution` (its ARN), which then counts as waiting, or
    the `target`, a state machine such as `billing-monthly_invoice` that is started with `payload`.
    A time in the past is due at once. One transaction; a test tenant's clock is read before.
    """
    if (task_token is None) == (target is None):
        raise ValueError("A timer holds either a task token or a target")
    record = TimerRecord(
        tenant_id,
        TimerRecord.sort_key(subject, name),
        due_partition=_partition(tenant_id, due_at),
        due_at=due_at,
        tenant_id=tenant_id,
        subject=subject,
        name=name,
        arming=new_id("arm"),
        task_token=task_token,
        target=target,
        payload=payload.model_dump(mode="json") if payload else None,
        execution=execution,
    )
    for _ in range(_ARM_ATTEMPTS):
        try:
            with Transaction(_actor(), tenant_id) as transaction:
                condition = TimerRecord.pk.does_not_exist() | (
                    TimerRecord.state != TimerRecord.FIRING
                )
                transaction.save(record, condition=condition, conflict=_FiringError())
                if execution:
                    transaction.idle(work.of_execution(execution))
        except _FiringError:
            if earlier := TimerRecord.find(tenant_id, subject, name):
                finish(earlier)
        else:
            return
    raise TimerGoneError(f"Timer {name} of {subject} fires again and again")


def cancel(tenant_id: str, subject: str, name: str) -> bool:
    """Delete a timer; False when there is none, or when it already fires.

    An execution that waits for it would wait for ever: end waits by `signal`.
    """
    record = TimerRecord.find(tenant_id, subject, name)
    if record is None:
        return False
    try:
        with Transaction(_actor(), tenant_id) as transaction:
            condition = _is_armed(record)
            transaction.delete(record, condition=condition, conflict=TimerGoneError())
    except TimerGoneError:
        return False
    return True


def signal(tenant_id: str, subject: str, outcome: str) -> int:
    """End the waits of a subject early with `{"outcome": outcome}`; return how many.

    Timers that start a flow stay armed. A wait that is armed later does not see the signal, so a
    flow looks at the state of things before and after it waits.
    """
    waits = [item for item in TimerRecord.of_subject(tenant_id, subject) if item.task_token]
    armed = [record for record in waits if record.state == TimerRecord.ARMED]
    return sum(fire(record, outcome=outcome) for record in armed)


def fire(record: TimerRecord, *, outcome: str = DUE) -> bool:
    """Wake what a timer holds; False when it was fired, cancelled or armed anew before."""
    if record.state != TimerRecord.FIRING:
        try:
            with Transaction(_actor(), record.tenant_id) as transaction:
                mark(transaction, record, outcome)
                if record.execution:
                    transaction.busy(work.of_execution(record.execution))
        except TimerGoneError:
            return False
    finish(record)
    return True


def mark(transaction: Transaction, record: TimerRecord, outcome: str = DUE) -> None:
    """Mark a timer as firing; its transaction raises TimerGoneError when it is not armed any more.

    The mark puts the timer into the present minute, so that the schedule finishes what a crash
    leaves half done.
    """
    transaction.update(
        record,
        [
            TimerRecord.state.set(TimerRecord.FIRING),
            TimerRecord.outcome.set(outcome),
            TimerRecord.due_partition.set(TimerRecord.minute_partition(clock.wall())),
        ],
        condition=_is_armed(record),
        conflict=TimerGoneError(),
    )
    record.outcome = outcome


def finish(record: TimerRecord) -> None:
    """Wake what a marked timer holds, and delete it; doing so twice is harmless."""
    if record.task_token:
        _send(record.task_token, record.outcome or DUE)
    elif record.target:
        name = flows.name_of_wake(record.subject, record.name, record.due_at)
        flows.start_with(record.tenant_id, record.target, name, record.payload or {})
    try:
        with Transaction(_actor(), record.tenant_id) as transaction:
            same = TimerRecord.arming == record.arming
            transaction.delete(record, condition=same, conflict=TimerGoneError())
    except TimerGoneError:
        return


def fire_due(now: datetime, *, budget_seconds: float = 40.0) -> int:
    """Fire what is due by the wall clock since the last run; return how many timers fired.

    Goes through the minutes from a little before the checkpoint, so nothing is missed after an
    outage, and leaves the rest to the next run when the budget is spent. A timer that cannot be
    fired is put off, so that it holds up no other.
    """
    deadline = time.monotonic() + budget_seconds
    checkpoint = CheckpointRecord.find()
    done = checkpoint.minute if checkpoint else now - _FIRST_LOOK_BACK
    fired, minute = 0, done
    with ThreadPoolExecutor(_WORKERS) as workers:
        for minute in _minutes(done - _OVERLAP, now):
            records = list(TimerRecord.in_minute(minute, until=now))
            fired += sum(workers.map(lambda record: _fire_or_put_off(record, now), records))
            if minute > done and time.monotonic() > deadline:
                logger.warning("Timers are behind", minute=minute.isoformat())
                break
    _advance_checkpoint(minute)
    if fired:
        count("TimersFired", fired)
    return fired


def reindex(record: TimerRecord, partition: str | None, *, attempts: int = 0) -> None:
    """Move a timer in the index, to a minute or out of all of them; it stays as it is otherwise."""
    actions = [
        TimerRecord.due_partition.set(partition)
        if partition
        else TimerRecord.due_partition.remove(),
        TimerRecord.attempts.set(attempts),
    ]
    same = (TimerRecord.arming == record.arming) & (TimerRecord.state == record.state)
    try:
        with Transaction(_actor(), record.tenant_id) as transaction:
            transaction.update(record, actions, condition=same, conflict=TimerGoneError())
    except TimerGoneError:
        return


def partition_by_clock(due_at: datetime, now: datetime) -> str | None:
    """Return where a timer of a tenant with a test clock lies: in no minute, unless it is due."""
    return TimerRecord.minute_partition(clock.wall()) if due_at <= now else None


def _partition(tenant_id: str, due_at: datetime) -> str | None:
    if is_test_tenant(tenant_id):
        record = ClockRecord.find(tenant_id)
        if record is not None and record.now is not None:
            return partition_by_clock(due_at, record.now)
    return TimerRecord.minute_partition(max(due_at, clock.wall()))


def _fire_or_put_off(record: TimerRecord, now: datetime) -> bool:
    try:
        return _fire_by_wall(record, now)
    except Exception:  # noqa: BLE001 - one timer's failure is not the others'
        logger.exception("Timer failed", tenant_id=record.tenant_id, timer=record.sk)
        count("TimerFailed")
        _put_off(record, now)
        return False


def _put_off(record: TimerRecord, now: datetime) -> None:
    """Move a timer that could not be fired into a later minute, for longer each time."""
    present = TimerRecord.find(record.tenant_id, record.subject, record.name)
    if present is None or present.arming != record.arming:
        return
    attempts = int(present.attempts) + 1
    back_off = min(_MINUTE * 2 ** min(attempts, 10), _LONGEST_BACK_OFF)
    reindex(present, TimerRecord.minute_partition(now + back_off), attempts=attempts)


def _fire_by_wall(record: TimerRecord, now: datetime) -> bool:
    """Fire a timer of the minutes, unless its tenant's clock or gate says otherwise."""
    if record.state != TimerRecord.FIRING:
        if is_test_tenant(record.tenant_id):
            test_clock = ClockRecord.find(record.tenant_id)
            if test_clock and test_clock.is_owned and record.due_at > test_clock.now:
                reindex(record, None)
                return False
        gate = find(GateRecord, record.tenant_id, "GATE")
        if gate is not None and gate.status not in _RUNNING_ON:
            reindex(record, TimerRecord.minute_partition(now + _PARKED_FOR))
            return False
    return fire(record)


def _advance_checkpoint(minute: datetime) -> None:
    """Remember how far the schedule has come; a run that is overtaken changes nothing."""
    forward = CheckpointRecord.minute.does_not_exist() | (CheckpointRecord.minute < minute)
    try:
        with Transaction(_actor()) as transaction:
            record = CheckpointRecord.of_schedule(minute=minute)
            transaction.save(record, condition=forward, conflict=TimerGoneError())
    except TimerGoneError:
        return


def _send(task_token: str, outcome: str) -> None:
    """Wake an execution; one that was woken before, or has ended, is left alone."""
    try:
        aws.client("stepfunctions").send_task_success(
            taskToken=task_token, output=json.dumps({"outcome": outcome})
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TOKEN_IS_USED:
            raise


def _is_armed(record: TimerRecord) -> Any:
    return (TimerRecord.arming == record.arming) & (TimerRecord.state == TimerRecord.ARMED)


def _minutes(first: datetime, last: datetime) -> Iterator[datetime]:
    minute = first.replace(second=0, microsecond=0)
    while minute <= last:
        yield minute
        minute += _MINUTE


def _actor() -> System:
    return System(name=load(KernelSettings).mailroom_function)
