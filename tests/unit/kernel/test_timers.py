from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel

from kernel import clock, flows, timers
from kernel.settings import resource_arn, resource_name
from kernel.tables import CheckpointRecord, ClockRecord, GateRecord, TimerRecord
from tests.callers import make_tenant
from tests.doubles import StepFunctions

pytestmark = pytest.mark.usefixtures("tables")

SUBJECT = "sub_1"
OUTAGE = ClientError({"Error": {"Code": "ServiceUnavailable"}}, "SendTaskSuccess")


@pytest.fixture(autouse=True)
def _schedule_is_running(tables: None) -> None:
    CheckpointRecord.of_schedule(minute=clock.wall().replace(second=0, microsecond=0)).save()


class Order(BaseModel):
    subscription_id: str


@pytest.fixture
def live() -> str:
    return make_tenant("live")


@pytest.fixture
def test_tenant() -> str:
    return make_tenant("test")


def in_minutes(minutes: float) -> datetime:
    return clock.wall() + timedelta(minutes=minutes)


def execution(name: str = "one") -> str:
    return resource_arn("states", f"execution:{resource_name('billing-trial_conversion')}:{name}")


def busy(tenant_id: str) -> set[str]:
    record = ClockRecord.find(tenant_id)
    return set(record.busy or ()) if record else set()


def timers_of(tenant_id: str) -> list[str]:
    return [timer.name for timer in TimerRecord.of_tenant(tenant_id)]


def test_a_due_timer_wakes_its_execution_once(live: str, step_functions: StepFunctions) -> None:
    timers.arm(live, SUBJECT, "trial-end", in_minutes(2), task_token="token")

    assert timers.fire_due(in_minutes(1)) == 0
    assert timers.fire_due(in_minutes(3)) == 1
    assert timers.fire_due(in_minutes(4)) == 0
    assert step_functions.woken == [("token", {"outcome": "due"})]
    assert timers_of(live) == []


def test_a_timer_of_the_running_minute_waits_for_its_second(
    live: str, step_functions: StepFunctions
) -> None:
    start = clock.wall().replace(second=0, microsecond=0) + timedelta(minutes=5)
    timers.arm(live, SUBJECT, "later", start + timedelta(seconds=30), task_token="token")

    assert timers.fire_due(start + timedelta(seconds=29)) == 0
    assert timers.fire_due(start + timedelta(seconds=30)) == 1


def test_a_timer_can_start_a_flow(live: str, step_functions: StepFunctions) -> None:
    due = in_minutes(1)
    timers.arm(
        live,
        SUBJECT,
        "next-month",
        due,
        target="billing-monthly_invoice",
        payload=Order(subscription_id=SUBJECT),
    )
    timers.fire_due(in_minutes(2))

    name = f"sub_1-next-month-{due:%Y%m%dT%H%M%S}"
    assert step_functions.started == {
        f"billing-monthly_invoice/{name}": {"subscription_id": SUBJECT}
    }
    assert timers_of(live) == []


def test_a_timer_armed_late_fires_at_once(live: str, step_functions: StepFunctions) -> None:
    timers.arm(live, SUBJECT, "late", in_minutes(-60 * 24 * 40), task_token="token")

    assert timers.fire_due(clock.wall()) == 1


def test_a_time_zone_is_no_matter(live: str, step_functions: StepFunctions) -> None:
    due = in_minutes(2).astimezone(datetime.strptime("+0530", "%z").tzinfo)
    timers.arm(live, SUBJECT, "abroad", due, task_token="token")

    assert timers.fire_due(in_minutes(1)) == 0
    assert timers.fire_due(in_minutes(3)) == 1


def test_the_first_run_of_all_looks_back(live: str, step_functions: StepFunctions) -> None:
    CheckpointRecord.of_schedule().delete()
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")

    assert timers.fire_due(in_minutes(60)) == 1


def test_what_fell_due_during_an_outage_fires_after_it(
    live: str, step_functions: StepFunctions
) -> None:
    for hour in range(1, 4):
        timers.arm(live, SUBJECT, f"hour-{hour}", in_minutes(20 * hour), task_token=f"{hour}")

    assert timers.fire_due(in_minutes(90)) == 3
    assert [token for token, _ in step_functions.woken] == ["1", "2", "3"]


def test_a_run_without_budget_leaves_the_rest_to_the_next(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "first", in_minutes(1), task_token="1")
    timers.arm(live, SUBJECT, "second", in_minutes(30), task_token="2")

    runs = 0
    while timers_of(live) and runs < 100:
        timers.fire_due(in_minutes(31), budget_seconds=0)
        runs += 1

    assert runs > 1
    assert [token for token, _ in step_functions.woken] == ["1", "2"]


def test_the_index_may_lag_behind_the_checkpoint(live: str, step_functions: StepFunctions) -> None:
    due = in_minutes(1)
    timers.fire_due(in_minutes(3))
    timers.arm(live, SUBJECT, "unseen", due, task_token="token")

    assert timers.fire_due(in_minutes(4)) == 1


def test_the_checkpoint_only_moves_forward(live: str) -> None:
    ahead = in_minutes(10)
    timers.fire_due(ahead)
    timers.fire_due(in_minutes(5))

    checkpoint = CheckpointRecord.find()
    assert checkpoint is not None
    assert checkpoint.minute == ahead.replace(second=0, microsecond=0)


def test_arming_again_replaces_the_timer(live: str, step_functions: StepFunctions) -> None:
    timers.arm(live, SUBJECT, "reminder", in_minutes(1), task_token="old")
    timers.arm(live, SUBJECT, "reminder", in_minutes(5), task_token="new")

    assert timers.fire_due(in_minutes(2)) == 0
    assert timers.fire_due(in_minutes(6)) == 1
    assert step_functions.woken == [("new", {"outcome": "due"})]


def test_a_timer_needs_a_token_or_a_target(live: str) -> None:
    with pytest.raises(ValueError, match="either"):
        timers.arm(live, SUBJECT, "neither", in_minutes(1))
    with pytest.raises(ValueError, match="either"):
        timers.arm(live, SUBJECT, "both", in_minutes(1), task_token="token", target="flow")
    with pytest.raises(ValueError, match="no #"):
        timers.arm(live, "sub#1", "name", in_minutes(1), task_token="token")


def test_a_cancelled_timer_does_not_fire(live: str, step_functions: StepFunctions) -> None:
    timers.arm(live, SUBJECT, "renewal", in_minutes(1), target="billing-monthly_invoice")

    assert timers.cancel(live, SUBJECT, "renewal")
    assert not timers.cancel(live, SUBJECT, "renewal")
    assert timers.fire_due(in_minutes(2)) == 0
    assert step_functions.started == {}


def test_a_signal_ends_the_subjects_waits_and_no_others(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "day-10", in_minutes(10), task_token="waits")
    timers.arm(live, SUBJECT, "next-month", in_minutes(10), target="billing-monthly_invoice")
    timers.arm(live, "sub_10", "day-10", in_minutes(10), task_token="somebody-else")

    assert timers.signal(live, SUBJECT, "paid") == 1
    assert timers.signal(live, SUBJECT, "paid") == 0
    assert step_functions.woken == [("waits", {"outcome": "paid"})]
    assert timers_of(live) == ["next-month", "day-10"]


def test_of_two_who_end_a_wait_one_wins(live: str, step_functions: StepFunctions) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")
    [seen_before] = TimerRecord.of_tenant(live)
    timers.signal(live, SUBJECT, "paid")

    assert not timers.fire(seen_before)
    assert not timers.cancel(live, SUBJECT, "wait")
    assert step_functions.woken == [("token", {"outcome": "paid"})]


def test_a_signal_does_not_claim_a_wait_that_fires_already(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")
    step_functions.faults = [OUTAGE]
    with pytest.raises(ClientError):
        timers.signal(live, SUBJECT, "approved")

    assert timers.signal(live, SUBJECT, "paid") == 0
    timers.fire_due(in_minutes(2))
    assert step_functions.woken == [("token", {"outcome": "approved"})]


def test_a_timer_that_was_armed_anew_is_not_fired_for_its_predecessor(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="old")
    [seen_before] = TimerRecord.of_tenant(live)
    timers.arm(live, SUBJECT, "wait", in_minutes(9), task_token="new")

    assert not timers.fire(seen_before)
    assert step_functions.woken == []
    assert timers_of(live) == ["wait"]


def test_a_timer_that_fires_can_no_longer_be_cancelled(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")
    step_functions.faults = [OUTAGE]
    with pytest.raises(ClientError):
        timers.signal(live, SUBJECT, "paid")

    assert not timers.cancel(live, SUBJECT, "wait")


@pytest.mark.parametrize("due_in_minutes", [1, 60 * 24 * 30])
def test_a_signal_that_crashed_midway_is_finished_by_the_schedule(
    live: str, step_functions: StepFunctions, due_in_minutes: int
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(due_in_minutes), task_token="token")
    step_functions.faults = [OUTAGE]
    with pytest.raises(ClientError):
        timers.signal(live, SUBJECT, "paid")
    assert step_functions.woken == []

    timers.fire_due(in_minutes(1.5))
    assert step_functions.woken == [("token", {"outcome": "paid"})]
    assert timers_of(live) == []


def test_a_crash_after_the_wake_fires_twice_and_wakes_once(
    live: str, step_functions: StepFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")
    timers.arm(live, SUBJECT, "start", in_minutes(1), target="billing-monthly_invoice")
    half_done = [TimerRecord.find(live, SUBJECT, name) for name in ("wait", "start")]
    for timer in half_done:
        assert timer is not None
        timers.fire(timer)
        timer.state = TimerRecord.FIRING
        timer.save()

    timers.fire_due(in_minutes(2))
    assert len(step_functions.woken) == 1
    assert len(step_functions.started) == 1
    assert timers_of(live) == []


def test_arming_does_not_lose_the_wake_of_a_timer_that_fires(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="old")
    step_functions.faults = [OUTAGE]
    with pytest.raises(ClientError):
        timers.signal(live, SUBJECT, "paid")
    timers.arm(live, SUBJECT, "wait", in_minutes(9), task_token="new")

    assert step_functions.woken == [("old", {"outcome": "paid"})]
    assert timers_of(live) == ["wait"]


def test_a_timer_that_cannot_be_fired_is_put_off_and_holds_up_no_other(
    live: str, step_functions: StepFunctions
) -> None:
    timers.arm(live, SUBJECT, "unlucky", in_minutes(1), task_token="unlucky")
    step_functions.faults = [OUTAGE]
    assert timers.fire_due(in_minutes(2)) == 0
    timers.arm(live, "sub_2", "lucky", in_minutes(2), task_token="lucky")

    assert timers.fire_due(in_minutes(3)) == 1
    assert timers.fire_due(in_minutes(5)) == 1
    assert [token for token, _ in step_functions.woken] == ["lucky", "unlucky"]


def test_the_timers_of_a_closed_tenant_park_and_lose_nothing(
    live: str, step_functions: StepFunctions
) -> None:
    record = GateRecord.for_tenant(live)
    record.update(actions=[GateRecord.status.set("abuse")])
    timers.arm(live, SUBJECT, "wait", in_minutes(1), task_token="token")
    for minute in range(2, 18, 3):
        assert timers.fire_due(in_minutes(minute)) == 0

    record.update(actions=[GateRecord.status.set("payment")])
    assert timers.fire_due(in_minutes(25)) == 1


def test_arming_takes_an_execution_out_of_busy_and_firing_puts_it_back(
    test_tenant: str, step_functions: StepFunctions
) -> None:
    flows.start(test_tenant, "billing-trial_conversion", "one", Order(subscription_id=SUBJECT))
    assert busy(test_tenant) == {"flow/billing-trial_conversion/one"}

    timers.arm(
        test_tenant, SUBJECT, "wait", in_minutes(1), task_token="token", execution=execution()
    )
    assert busy(test_tenant) == set()
    timers.signal(test_tenant, SUBJECT, "paid")
    assert busy(test_tenant) == {"flow/billing-trial_conversion/one"}


def test_the_wall_clock_fires_nothing_ahead_of_a_test_clock(
    test_tenant: str, step_functions: StepFunctions
) -> None:
    timers.arm(test_tenant, SUBJECT, "armed-before", in_minutes(2), task_token="1")
    frozen = clock.wall()
    ClockRecord.for_tenant(test_tenant, now=frozen).save()
    timers.arm(test_tenant, SUBJECT, "armed-after", in_minutes(2), task_token="2")

    assert timers.fire_due(in_minutes(5)) == 0
    assert [timer.due_partition for timer in TimerRecord.of_tenant(test_tenant)] == [None, None]


def test_what_is_due_by_a_clock_that_rests_is_fired_by_the_schedule(
    test_tenant: str, step_functions: StepFunctions
) -> None:
    far_ahead = datetime(2031, 1, 1, tzinfo=UTC)
    ClockRecord.for_tenant(test_tenant, now=far_ahead).save()
    timers.arm(test_tenant, SUBJECT, "late", far_ahead - timedelta(days=1), task_token="token")

    assert timers.fire_due(in_minutes(1.5)) == 1
    record = ClockRecord.find(test_tenant)
    assert record is not None
    assert record.now == far_ahead
