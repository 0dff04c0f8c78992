from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from kernel import clock, flows, test_clock, timers, work
from kernel.clock import next_month
from kernel.errors import ConflictError, UnprocessableError
from kernel.principals import System
from kernel.settings import load, resource_arn, resource_name
from kernel.tables import ClockRecord, GateRecord, JournalRecord, TimerRecord, find
from kernel.test_clock import AdvanceMessage, AdvanceTestClock
from kernel.transactions import Transaction
from tests.callers import make_caller, make_tenant
from tests.doubles import Queue, StepFunctions

pytestmark = pytest.mark.usefixtures("tables")

MACHINE = "billing-subscription"


class Start(BaseModel):
    subscription_id: str = "sub_1"


@pytest.fixture
def queue(cloud: None) -> Queue:
    return Queue("mailroom-local-clock-advance")


@pytest.fixture
def tenant_id(tables: None) -> str:
    return make_tenant("test")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_SETTLE_SECONDS", "0.2")
    load.cache_clear()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen whenever the worker waits."""

    def happens(act: Callable[[], None]) -> None:
        monkeypatch.setattr("kernel.test_clock.time.sleep", lambda _: act())

    return happens


def create(tenant_id: str, now: datetime | None = None) -> test_clock.TestClock:
    return test_clock.create(make_caller(tenant_id), now)


def advance(tenant_id: str, **body: Any) -> test_clock.TestClock:
    return test_clock.advance(make_caller(tenant_id), AdvanceTestClock(**body))


def go(queue: Queue, **options: Any) -> None:
    """Work on the messages that are in the queue."""
    for message in queue.take():
        test_clock.work_on(AdvanceMessage.model_validate(message), **options)


def record_of(tenant_id: str) -> ClockRecord:
    record = ClockRecord.find(tenant_id)
    assert record is not None
    return record


def month_of_gate(tenant_id: str) -> str | None:
    gate = find(GateRecord, tenant_id, "GATE")
    assert gate is not None
    return gate.clock_month


def count(tenant_id: str, *names: str) -> None:
    with Transaction(System(name="tests"), tenant_id) as transaction:
        transaction.busy(*names)


def settle(tenant_id: str, *names: str) -> None:
    with Transaction(System(name="tests"), tenant_id) as transaction:
        transaction.idle(*names)


def execution(name: str) -> str:
    return resource_arn("states", f"execution:{resource_name(MACHINE)}:{name}")


class TestCreate:
    def test_freezes_the_present(self, tenant_id: str) -> None:
        created = create(tenant_id)

        assert created.status == "ready"
        assert clock.tenant(tenant_id) == created.now
        assert clock.tenant(tenant_id) == created.now
        assert abs(clock.wall() - created.now) < timedelta(minutes=1)
        assert month_of_gate(tenant_id) == f"{created.now:%Y-%m}"

    def test_may_begin_later_in_any_time_zone(self, tenant_id: str) -> None:
        later = datetime.fromisoformat("2027-02-01T00:30:00+02:00")
        create(tenant_id, later)

        assert clock.tenant(tenant_id) == later
        assert month_of_gate(tenant_id) == "2027-01"

    def test_does_not_touch_the_work_that_is_counted_already(self, tenant_id: str) -> None:
        count(tenant_id, "event/evt_1")
        create(tenant_id)

        assert record_of(tenant_id).busy == {"event/evt_1"}

    def test_is_audited(self, tenant_id: str) -> None:
        create(tenant_id)

        [fact] = JournalRecord.scan()
        assert fact.audit["action"] == "test_clock.created"
        assert fact.event is None

    def test_only_test_tenants_have_clocks(self) -> None:
        with pytest.raises(test_clock.NotATestTenantError):
            create(make_tenant("live"))

    def test_a_tenant_has_one_clock(self, tenant_id: str) -> None:
        create(tenant_id)
        with pytest.raises(test_clock.TestClockExistsError):
            create(tenant_id)

    @pytest.mark.parametrize("days", [-1, 800])
    def test_begins_neither_in_the_past_nor_too_far_ahead(self, tenant_id: str, days: int) -> None:
        with pytest.raises(UnprocessableError):
            create(tenant_id, clock.wall() + timedelta(days=days))

    def test_takes_over_the_timers_that_are_armed(self, tenant_id: str) -> None:
        timers.arm(tenant_id, "sub_1", "soon", clock.wall() + timedelta(days=1), task_token="1")
        timers.arm(tenant_id, "sub_1", "late", clock.wall() + timedelta(days=90), task_token="2")
        create(tenant_id, clock.wall() + timedelta(days=30))

        soon, late = TimerRecord.of_tenant(tenant_id)
        assert str(soon.due_partition).startswith("MINUTE#")
        assert late.due_partition is None


class TestAdvance:
    def test_sends_the_clock_on_its_way(self, tenant_id: str, queue: Queue) -> None:
        now = create(tenant_id).now
        answer = advance(tenant_id, days=30)

        assert (answer.status, answer.now, answer.target) == (
            "advancing",
            now,
            now + timedelta(days=30),
        )
        assert test_clock.read(make_caller(tenant_id)) == answer
        assert [message["tenant_id"] for message in queue.take()] == [tenant_id]

    def test_a_second_advance_waits_for_the_first(self, tenant_id: str, queue: Queue) -> None:
        create(tenant_id)
        advance(tenant_id, days=1)

        with pytest.raises(test_clock.TestClockAdvancingError):
            advance(tenant_id, days=1)

    def test_an_advance_that_was_abandoned_does_not_count(
        self, tenant_id: str, queue: Queue
    ) -> None:
        create(tenant_id)
        advance(tenant_id, days=1)
        record_of(tenant_id).update(
            actions=[ClockRecord.worked_at.set(clock.wall() - timedelta(minutes=20))]
        )

        assert advance(tenant_id, days=2).status == "advancing"

    def test_without_a_clock_there_is_nothing_to_move(self, tenant_id: str) -> None:
        count(tenant_id, "event/evt_1")
        with pytest.raises(test_clock.NoTestClockError):
            advance(tenant_id, days=1)
        with pytest.raises(test_clock.NoTestClockError):
            test_clock.read(make_caller(tenant_id))

    @pytest.mark.parametrize("days", [-1, 0, 800])
    def test_moves_forward_and_not_too_far(self, tenant_id: str, days: int) -> None:
        now = create(tenant_id).now
        with pytest.raises(UnprocessableError) as caught:
            advance(tenant_id, to=now + timedelta(days=days))
        assert caught.value.errors[0].field == "body.to"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"to": "2027-01-01T00:00:00Z", "days": 1},
            {"days": 0},
            {"to": "2027-01-01T00:00:00"},
            {"days": 1, "weeks": 1},
        ],
    )
    def test_takes_exactly_one_of_to_and_days(self, body: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            AdvanceTestClock.model_validate(body)

    def test_what_cannot_be_queued_does_not_hang(
        self, tenant_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create(tenant_id)
        with pytest.raises(Exception, match="does not exist"):
            advance(tenant_id, days=1)
        assert record_of(tenant_id).status == "failed"


class TestWorker:
    def test_arrives_where_nothing_is_due(self, tenant_id: str, queue: Queue) -> None:
        target = create(tenant_id).now + timedelta(days=45)
        advance(tenant_id, to=target)
        go(queue)

        assert test_clock.read(make_caller(tenant_id)).model_dump() == {
            "now": target,
            "status": "ready",
            "target": None,
            "failure": None,
        }
        assert month_of_gate(tenant_id) == f"{target:%Y-%m}"

    def test_fires_in_order_each_at_its_time(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        seen: list[tuple[str, datetime, str | None]] = []
        step_functions.on_wake = lambda token: seen.append(
            (token, clock.tenant(tenant_id), month_of_gate(tenant_id))
        )
        due = {name: now + timedelta(days=days) for name, days in (("b", 40), ("a", 3), ("c", 80))}
        for name, moment in due.items():
            timers.arm(tenant_id, "sub_1", name, moment, task_token=name)
        advance(tenant_id, days=60)
        go(queue)

        assert seen == [(name, due[name], f"{due[name]:%Y-%m}") for name in ("a", "b")]
        assert [timer.name for timer in TimerRecord.of_tenant(tenant_id)] == ["c"]

    def test_fires_what_is_armed_on_the_way(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        create(tenant_id)
        months: list[datetime] = []
        flows.start(tenant_id, MACHINE, "one", Start())

        def wait_for_next_month(_token: str = "") -> None:
            now = clock.tenant(tenant_id)
            months.append(now)
            timers.arm(
                tenant_id,
                "sub_1",
                "month",
                next_month(now),
                task_token=f"token-{len(months)}",
                execution=execution("one"),
            )

        step_functions.on_wake = wait_for_next_month
        wait_for_next_month()
        advance(tenant_id, days=396)
        go(queue)

        assert record_of(tenant_id).status == "ready"
        assert len(months) == 14
        assert months[1:] == sorted(set(months[1:]))
        assert {moment.day for moment in months[1:]} == {1}

    def test_a_timer_in_the_past_fires_without_turning_the_clock_back(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        seen: list[datetime] = []
        step_functions.on_wake = lambda token: seen.append(clock.tenant(tenant_id))
        timers.arm(tenant_id, "sub_1", "late", now - timedelta(days=9), task_token="1")
        advance(tenant_id, days=1)
        go(queue)

        assert seen == [now]

    def test_waits_until_what_a_timer_caused_has_settled(
        self,
        tenant_id: str,
        queue: Queue,
        step_functions: StepFunctions,
        meanwhile: Callable[[Callable[[], None]], None],
    ) -> None:
        now = create(tenant_id).now
        history: list[str] = []

        def wake(token: str) -> None:
            history.append(token)
            count(tenant_id, f"event/{token}/billing/charge")

        def work_through() -> None:
            for name in sorted(record_of(tenant_id).busy or ()):
                history.append(f"{name} done")
                settle(tenant_id, name)

        step_functions.on_wake = wake
        meanwhile(work_through)
        for day in (1, 2):
            timers.arm(tenant_id, "sub_1", f"{day}", now + timedelta(days=day), task_token=f"{day}")
        advance(tenant_id, days=3)
        go(queue)

        assert history == [
            "1",
            "event/1/billing/charge done",
            "2",
            "event/2/billing/charge done",
        ]
        assert record_of(tenant_id).status == "ready"

    def test_starts_the_flows_that_are_due(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        timers.arm(
            tenant_id, "sub_1", "month", now + timedelta(days=1), target=MACHINE, payload=Start()
        )
        advance(tenant_id, days=2)
        [message] = queue.take()
        test_clock.work_on(AdvanceMessage.model_validate(message), budget_seconds=0.3)

        [name] = step_functions.started
        assert record_of(tenant_id).busy == {f"flow/{name}"}
        assert record_of(tenant_id).now == now + timedelta(days=1)

        step_functions.statuses[name] = "SUCCEEDED"
        go(queue)
        assert record_of(tenant_id).status == "ready"
        assert record_of(tenant_id).busy is None

    def test_a_flow_that_failed_fails_the_advance_and_the_next_goes_on(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        create(tenant_id)
        flows.start(tenant_id, MACHINE, "one", Start())
        step_functions.statuses[f"{MACHINE}/one"] = "FAILED"
        advance(tenant_id, days=1)
        go(queue)

        failed = test_clock.read(make_caller(tenant_id))
        assert (failed.status, failed.failure) == ("failed", f"flow/{MACHINE}/one FAILED")
        advance(tenant_id, days=1)
        go(queue)
        assert test_clock.read(make_caller(tenant_id)).status == "ready"

    @pytest.mark.usefixtures("impatient")
    def test_names_what_hangs(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        count(tenant_id, "event/evt_1/billing/start_subscription")
        advance(tenant_id, days=1)
        go(queue)

        failed = test_clock.read(make_caller(tenant_id))
        assert failed.status == "failed"
        assert failed.failure == "event/evt_1/billing/start_subscription"
        assert failed.now == now

    @pytest.mark.usefixtures("impatient")
    def test_does_not_go_on_for_ever_with_work_that_makes_work(
        self,
        tenant_id: str,
        queue: Queue,
        step_functions: StepFunctions,
        meanwhile: Callable[[Callable[[], None]], None],
    ) -> None:
        create(tenant_id)
        numbers = iter(range(1_000_000))

        def ping_pong() -> None:
            number = next(numbers)
            count(tenant_id, f"event/{number}/tests/ping")
            if number:
                settle(tenant_id, f"event/{number - 1}/tests/ping")

        ping_pong()
        meanwhile(ping_pong)
        advance(tenant_id, days=1)
        go(queue)

        assert record_of(tenant_id).status == "failed"

    @pytest.mark.usefixtures("impatient")
    def test_patience_outlasts_a_hand_over(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        create(tenant_id)
        count(tenant_id, "event/evt_1/billing/start_subscription")
        advance(tenant_id, days=1)
        runs = 0
        while record_of(tenant_id).status == "advancing" and runs < 100:
            go(queue, budget_seconds=0.05)
            runs += 1

        assert runs > 1
        assert record_of(tenant_id).status == "failed"

    def test_hands_over_before_its_time_is_up(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        for day in range(1, 4):
            timers.arm(tenant_id, "sub_1", f"{day}", now + timedelta(days=day), task_token=f"{day}")
        advance(tenant_id, days=5)
        [message] = queue.take()
        test_clock.work_on(AdvanceMessage.model_validate(message), budget_seconds=0)

        assert record_of(tenant_id).status == "advancing"
        go(queue)
        assert record_of(tenant_id).status == "ready"
        assert [token for token, _ in step_functions.woken] == ["1", "2", "3"]

    def test_a_message_that_comes_twice_does_no_harm(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        timers.arm(tenant_id, "sub_1", "wait", now + timedelta(days=1), task_token="token")
        advance(tenant_id, days=2)
        [message] = queue.take() * 1
        for _ in range(2):
            test_clock.work_on(AdvanceMessage.model_validate(message))

        assert len(step_functions.woken) == 1
        assert record_of(tenant_id).now == now + timedelta(days=2)

    def test_two_workers_on_one_clock_fire_each_timer_once_and_in_order(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        for day in range(1, 4):
            timers.arm(tenant_id, "sub_1", f"{day}", now + timedelta(days=day), task_token=f"{day}")
        advance(tenant_id, days=5)
        [message] = queue.take()
        stale = record_of(tenant_id)
        test_clock.work_on(AdvanceMessage.model_validate(message))
        test_clock._move(stale)

        assert [token for token, _ in step_functions.woken] == ["1", "2", "3"]
        assert record_of(tenant_id).now == now + timedelta(days=5)
        assert record_of(tenant_id).status == "ready"

    def test_finishes_a_timer_that_a_crash_left_half_done_before_the_next(
        self, tenant_id: str, queue: Queue, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        flows.start(tenant_id, MACHINE, "one", Start())
        timers.arm(
            tenant_id,
            "sub_1",
            "first",
            now + timedelta(days=1),
            task_token="first",
            execution=execution("one"),
        )
        timers.arm(tenant_id, "sub_2", "second", now + timedelta(days=2), task_token="second")
        advance(tenant_id, days=3)
        [timer, _] = TimerRecord.of_tenant(tenant_id)
        test_clock._set_now(record_of(tenant_id), timer.due_at, firing=timer)
        assert record_of(tenant_id).busy == {work.of_flow(MACHINE, "one")}

        def end(token: str) -> None:
            step_functions.statuses[f"{MACHINE}/one"] = "SUCCEEDED"

        step_functions.on_wake = end
        go(queue)
        assert [token for token, _ in step_functions.woken] == ["first", "second"]
        assert record_of(tenant_id).status == "ready"

    def test_does_nothing_for_a_clock_that_rests(
        self, tenant_id: str, step_functions: StepFunctions
    ) -> None:
        now = create(tenant_id).now
        timers.arm(tenant_id, "sub_1", "wait", now + timedelta(days=1), task_token="token")
        test_clock.work_on(AdvanceMessage(tenant_id=tenant_id))

        assert step_functions.woken == []
        assert record_of(tenant_id).now == now

    def test_does_not_arrive_while_work_has_begun(self, tenant_id: str, queue: Queue) -> None:
        now = create(tenant_id).now
        advance(tenant_id, days=1)
        seen_before = record_of(tenant_id)
        count(tenant_id, "event/evt_1")
        test_clock._move(seen_before)

        assert record_of(tenant_id).now == now

    def test_a_tenant_without_a_gate_gets_none_by_its_clock(
        self, tenant_id: str, queue: Queue
    ) -> None:
        GateRecord.for_tenant(tenant_id).delete()
        with pytest.raises(Exception, match="no gate"):
            create(tenant_id)
        assert find(GateRecord, tenant_id, "GATE") is None


def test_conflicts_of_the_clock_are_conflicts() -> None:
    assert issubclass(test_clock.TestClockAdvancingError, ConflictError)
    assert test_clock.TestClockAdvancingError.code == "test_clock.advancing"
