"""Who ends a wait, and who counts: many at once, on the emulator's DynamoDB."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from contracts.events import Event
from kernel import aws, clock, flows, timers
from kernel.ids import new_id
from kernel.principals import System
from kernel.tables import CheckpointRecord, ClockRecord, TimerRecord
from kernel.transactions import Transaction
from tests.callers import make_tenant
from tests.doubles import StepFunctions

if TYPE_CHECKING:
    from tests.emulator.kernel.conftest import Workshop

pytestmark = pytest.mark.xdist_group("emulator")

THREADS = 8
LONGEST_SECONDS = 60


class MonthCharged(Event, type="parts.month_charged"):
    number: int


class Careful(StepFunctions):
    """Step Functions for many threads."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def send_task_success(self, **arguments: Any) -> None:
        with self.lock:
            super().send_task_success(**arguments)

    def start_execution(self, **arguments: Any) -> None:
        with self.lock:
            super().start_execution(**arguments)


@pytest.fixture
def steps(at_work: "Workshop", monkeypatch: pytest.MonkeyPatch) -> Careful:
    double, real = Careful(), aws.client
    monkeypatch.setattr(
        aws, "client", lambda name, **kw: double if name == "stepfunctions" else real(name, **kw)
    )
    return double


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Do things at the same time; return what each came to."""
    start = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(act, actions))


def soon() -> datetime:
    return clock.wall() + timedelta(minutes=2)


def test_many_schedules_wake_every_timer_once(steps: Careful) -> None:
    tenant_id = make_tenant("live")
    now = clock.wall()
    CheckpointRecord.of_schedule(minute=now).save()
    tokens = [new_id("token") for _ in range(25)]
    for token in tokens:
        timers.arm(tenant_id, "sub_1", token, now, task_token=token)
    counts = at_once(*[lambda: timers.fire_due(soon())] * 4)

    assert sorted(token for token, _ in steps.woken) == sorted(tokens)
    assert sum(counts) >= len(tokens)
    assert TimerRecord.of_tenant(tenant_id) == []


def test_of_cancel_signal_and_time_exactly_one_wins(steps: Careful) -> None:
    tenant_id = make_tenant("live")
    for number in range(25):
        subject, token = new_id("sub"), f"{tenant_id}/{number}"
        timers.arm(tenant_id, subject, "wait", clock.wall(), task_token=token)
        record = TimerRecord.find(tenant_id, subject, "wait")
        assert record is not None
        acts: dict[str, Callable[[], Any]] = {
            "cancelled": partial(timers.cancel, tenant_id, subject, "wait"),
            "paid": partial(timers.signal, tenant_id, subject, "paid"),
            "due": partial(timers.fire, record),
        }
        outcomes = dict(zip(acts, at_once(*acts.values()), strict=True))
        [winner] = [name for name, won in outcomes.items() if won]
        woken = [output["outcome"] for woken, output in steps.woken if woken == token]

        assert woken == ([] if winner == "cancelled" else [winner])
        assert TimerRecord.of_subject(tenant_id, subject) == []


def test_of_many_who_arm_a_timer_the_last_one_stays(steps: Careful) -> None:
    tenant_id = make_tenant("live")
    at_once(
        *[
            lambda number=number: timers.arm(
                tenant_id, "sub_1", "wait", soon(), task_token=f"{tenant_id}/{number}"
            )
            for number in range(THREADS)
        ]
    )

    [record] = TimerRecord.of_tenant(tenant_id)
    assert timers.fire(record)
    assert [token for token, _ in steps.woken] == [record.task_token]


def test_a_flow_that_many_start_starts_once_and_is_counted_once(steps: Careful) -> None:
    tenant_id, name = make_tenant("test"), new_id("sub")
    event = MonthCharged(tenant_id=tenant_id, subject=name, occurred_at=clock.wall(), number=1)
    at_once(*[lambda: flows.start(tenant_id, "parts-subscription_year", name, event)] * THREADS)

    assert list(steps.started) == [f"parts-subscription_year/{name}"]
    record = ClockRecord.find(tenant_id)
    assert record is not None
    assert record.busy == {f"flow/parts-subscription_year/{name}"}


def test_every_event_of_a_crowd_arrives_and_the_count_ends_at_nothing(
    at_work: "Workshop",
) -> None:
    tenant_id, subject, each = make_tenant("test"), new_id("sub"), 10

    def emit(first: int) -> None:
        for number in range(first, first + each):
            with Transaction(System(name="tests"), tenant_id) as transaction:
                transaction.emit(
                    MonthCharged(
                        tenant_id=tenant_id,
                        subject=subject,
                        occurred_at=clock.wall(),
                        number=number,
                    )
                )

    at_once(*[lambda first=first: emit(first) for first in range(0, THREADS * each, each)])
    wait_until(lambda: len(at_work.receipts(tenant_id)) == THREADS * each)
    wait_until(lambda: not (found := ClockRecord.find(tenant_id)) or not found.busy)

    numbers = [int(receipt.split("#")[1]) for receipt in at_work.receipts(tenant_id)]
    assert sorted(numbers) == list(range(THREADS * each))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
