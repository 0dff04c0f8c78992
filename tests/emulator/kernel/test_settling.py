"""A test clock against real streams, queues, subscribers and executions."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from kernel import clock, flows, test_clock, timers
from kernel.clock import next_month
from kernel.ids import new_id
from kernel.tables import ClockRecord, TimerRecord
from kernel.test_clock import AdvanceTestClock
from tests.callers import make_caller, make_tenant

if TYPE_CHECKING:
    from tests.emulator.kernel.conftest import Workshop

pytestmark = pytest.mark.xdist_group("emulator")

LONGEST_SECONDS = 60


class Subscription(BaseModel):
    tenant_id: str
    subject: str
    number: int = 0


def start(tenant_id: str, subjects: Iterable[str]) -> None:
    for subject in subjects:
        subscription = Subscription(tenant_id=tenant_id, subject=subject)
        flows.start(tenant_id, "parts-subscription_year", subject, subscription)


def advance(tenant_id: str, days: int) -> test_clock.TestClock:
    """Advance, and return the clock when it has come to rest."""
    caller = make_caller(tenant_id)
    test_clock.advance(caller, AdvanceTestClock(days=days))
    deadline = time.monotonic() + LONGEST_SECONDS
    while (state := test_clock.read(caller)).status == "advancing":
        assert time.monotonic() < deadline, ClockRecord.find(tenant_id)
        time.sleep(0.05)
    return state


def expected(now: datetime, subjects: Iterable[str]) -> list[str]:
    """Thirteen receipts a subject, each written on the first of its month."""
    months = [now]
    while len(months) <= 13:
        months.append(next_month(months[-1]))
    return sorted(
        f"{subject}#{number:02}#{month:%Y-%m-%d}"
        for subject in subjects
        for number, month in enumerate(months)
        if number
    )


@pytest.mark.parametrize("flows_at_once", [1, 3])
def test_a_year_and_a_month_pass_in_order(at_work: "Workshop", flows_at_once: int) -> None:
    subjects = [new_id("sub") for _ in range(flows_at_once)]
    tenant_id = make_tenant("test")
    now = test_clock.create(make_caller(tenant_id)).now
    start(tenant_id, subjects)
    began = time.monotonic()
    state = advance(tenant_id, 430)
    print(f"{len(subjects)} x 13 months took {time.monotonic() - began:.1f} s")

    assert (state.status, state.failure) == ("ready", None)
    assert state.now == now + timedelta(days=430)
    assert at_work.receipts(tenant_id) == expected(now, subjects)
    assert TimerRecord.of_tenant(tenant_id) == []


def test_advancing_in_pieces_is_the_same_as_advancing_at_once(at_work: "Workshop") -> None:
    tenant_id = make_tenant("test")
    now = test_clock.create(make_caller(tenant_id)).now
    subject = new_id("sub")
    start(tenant_id, [subject])
    for _ in range(10):
        assert advance(tenant_id, 43).status == "ready"

    assert at_work.receipts(tenant_id) == expected(now, [subject])


def test_a_broken_subscriber_is_named(at_work: "Workshop") -> None:
    tenant_id = make_tenant("test")
    test_clock.create(make_caller(tenant_id))
    start(tenant_id, [new_id("broken")])
    state = advance(tenant_id, 40)

    assert state.status == "failed"
    assert str(state.failure).endswith("/parts/write_receipt")
    assert state.now < clock.wall() + timedelta(days=32)


def test_a_live_tenants_wait_ends_by_the_schedule(at_work: "Workshop") -> None:
    tenant_id = make_tenant("live")
    start(tenant_id, [new_id("sub")])
    wait_for(lambda: bool(TimerRecord.of_tenant(tenant_id)))
    [timer] = TimerRecord.of_tenant(tenant_id)
    timers.reindex(timer, TimerRecord.minute_partition(clock.wall() - timedelta(minutes=1)))
    at_work.invoke("kernel-fire_due_timers", {"time": clock.wall().isoformat()})

    wait_for(lambda: timer.arming not in {item.arming for item in TimerRecord.of_tenant(tenant_id)})
    wait_for(lambda: bool(at_work.receipts(tenant_id)))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
