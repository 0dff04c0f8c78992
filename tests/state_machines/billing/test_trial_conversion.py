"""Every path of the flow and every Catch, with steps that say what a test wants."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.state_machines import asl
from tests.state_machines.asl import Run

FLOW = asl.definition("billing", "trial_conversion")
TASKS = sorted(name for name, state in FLOW["States"].items() if state["Type"] == "Task")
INPUT = {
    "tenant_id": "tnt_1",
    "subscription_id": "sub_1",
    "remind_at": "2026-11-24T12:00:00Z",
    "trial_ends_at": "2026-11-27T12:00:00Z",
}
DAY_10, DAY_13 = "2026-11-29T12:00:00Z", "2026-12-02T12:00:00Z"
PAID = {"outcome": "paid", "next_attempt_at": None, "resume_at": None}
LAST = {"outcome": "failed", "next_attempt_at": None, "resume_at": None}
PARKED = {"outcome": "parked", "next_attempt_at": None, "resume_at": "2026-11-27T18:00:00Z"}
REMIND = "Wait until three days before the end"
ANNOUNCE = "Announce the end of the trial"
CHARGE = "Charge the saved card"
TO_CHARGE = [
    REMIND,
    ANNOUNCE,
    "Is the trial still on?",
    "Wait until the trial ends",
    "Create the first invoice",
    "Is there an invoice to charge?",
    CHARGE,
]
JUDGE = "What became of the charge?"


def failed(next_attempt_at: str) -> dict[str, Any]:
    return {"outcome": "failed", "next_attempt_at": next_attempt_at, "resume_at": None}


class StripeUnavailableError(Exception):
    """As the step raises it."""


class DiscrepancyError(Exception):
    """As the step raises it."""


class StripeMisconfiguredError(Exception):
    """As the step raises it."""


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run the flow; steps answer in turn, and raise what is an exception."""

    def run(
        *charges: Any,
        announced: Any = "announced",
        finalised: Any = "finalised",
        waited: Any = "due",
        broken_wait: str | None = None,
    ) -> Run:
        answers = list(charges)

        def answer(value: Any, **result: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return {"outcome": value, **result}

        def charge(_order: dict[str, Any]) -> Any:
            result = answers.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        def wait(wanted: dict[str, Any]) -> Any:
            if wanted["name"] == broken_wait:
                raise RuntimeError("broken")
            return answer(waited)

        steps: dict[str, asl.Step] = {
            "wait_until": wait,
            "announce_trial_end": lambda _trial: answer(announced),
            "finalise_first_invoice": lambda _trial: answer(
                finalised, invoice_id="inv_1" if finalised == "finalised" else None
            ),
            "charge_invoice": charge,
        }
        done = asl.run(FLOW, INPUT, steps, monkeypatch)
        assert answers == []
        return done

    return run


def due(done: Run) -> list[tuple[str, str, str]]:
    """Return subject, name and time of each wait."""
    return [(wait["subject"], wait["name"], wait["due_at"]) for wait in done.inputs("wait_until")]


TRIAL_WAITS = [
    ("sub_1", "trial-reminder", "2026-11-24T12:00:00Z"),
    ("sub_1", "trial-end", "2026-11-27T12:00:00Z"),
]


def test_a_card_that_is_charged_converts_the_trial(flow: Callable[..., Run]) -> None:
    done = flow(PAID)

    assert done.states == [*TO_CHARGE, JUDGE, "The subscription is paid"]
    assert done.error is None
    assert due(done) == TRIAL_WAITS
    assert done.inputs("charge_invoice") == [
        {"tenant_id": "tnt_1", "invoice_id": "inv_1", "attempt": 1}
    ]


def test_waits_carry_the_token_and_the_execution(flow: Callable[..., Run]) -> None:
    for wait in flow(PAID).inputs("wait_until"):
        assert wait["tenant_id"] == "tnt_1"
        assert wait["execution"] == "arn:aws:states:execution:1"
        assert wait["task_token"]


def test_a_failed_charge_is_tried_again_on_day_10(flow: Callable[..., Run]) -> None:
    done = flow(failed(DAY_10), PAID)

    assert due(done) == [*TRIAL_WAITS, ("inv_1", "next-attempt", DAY_10)]
    assert [order["attempt"] for order in done.inputs("charge_invoice")] == [1, 2]
    assert done.end == "The subscription is paid"


def test_a_third_failure_ends_in_suspension(flow: Callable[..., Run]) -> None:
    done = flow(failed(DAY_10), failed(DAY_13), LAST)

    assert due(done)[2:] == [("inv_1", "next-attempt", DAY_10), ("inv_1", "next-attempt", DAY_13)]
    assert [order["attempt"] for order in done.inputs("charge_invoice")] == [1, 2, 3]
    assert (done.end, done.error) == ("The account is suspended for payment", None)


def test_a_payment_in_between_ends_the_wait_and_the_flow(flow: Callable[..., Run]) -> None:
    done = flow(failed(DAY_10), PAID, waited="paid")

    assert done.end == "The subscription is paid"


@pytest.mark.parametrize("at", ["announced", "finalised"])
def test_a_trial_that_was_ended_otherwise_is_left_alone(flow: Callable[..., Run], at: str) -> None:
    done = flow(**{at: "over"})

    assert (done.end, done.error) == ("The trial was over", None)
    assert done.inputs("charge_invoice") == []


def test_a_suspended_account_is_charged_when_it_is_open_again(flow: Callable[..., Run]) -> None:
    done = flow(PARKED, PARKED, PAID)

    assert due(done)[2:] == [("inv_1", "parked", "2026-11-27T18:00:00Z")] * 2
    assert [order["attempt"] for order in done.inputs("charge_invoice")] == [1, 1, 1]
    assert done.end == "The subscription is paid"


def test_an_absent_provider_is_asked_again_then_waited_for(flow: Callable[..., Run]) -> None:
    absent = [StripeUnavailableError("no answer")] * 6
    done = flow(*absent, PAID)
    subject, name, at = due(done)[2]

    assert (subject, name) == ("inv_1", "provider")
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert abs(datetime.fromisoformat(at) - in_an_hour) < timedelta(minutes=1)
    assert [order["attempt"] for order in done.inputs("charge_invoice")] == [1] * 7
    assert done.delays == [2, 6, 18, 54, 60]  # the emulator bounds them by a minute
    assert done.end == "The subscription is paid"


def test_a_short_absence_is_bridged_by_retries(flow: Callable[..., Run]) -> None:
    done = flow(StripeUnavailableError("no answer"), PAID)

    assert done.states == [*TO_CHARGE, JUDGE, "The subscription is paid"]


@pytest.mark.parametrize("error", [DiscrepancyError("97 for 98"), StripeMisconfiguredError("401")])
def test_what_no_repetition_mends_goes_to_an_operator_at_once(
    flow: Callable[..., Run], error: Exception
) -> None:
    done = flow(error)

    assert (done.end, done.error) == ("Ask an operator", "TrialConversionStopped")
    assert type(error).__name__ in str(done.cause)
    assert done.delays == []


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_keeps_failing_goes_to_an_operator(task: str, flow: Callable[..., Run]) -> None:
    broken = RuntimeError("broken")
    ways: dict[str, tuple[list[Any], dict[str, Any]]] = {
        REMIND: ([], {"broken_wait": "trial-reminder"}),
        ANNOUNCE: ([], {"announced": broken}),
        "Wait until the trial ends": ([], {"broken_wait": "trial-end"}),
        "Create the first invoice": ([], {"finalised": broken}),
        CHARGE: ([broken] * 6, {}),
        "Wait for the next attempt": ([failed(DAY_10)], {"broken_wait": "next-attempt"}),
        "Wait while the account is suspended": ([PARKED], {"broken_wait": "parked"}),
        "Wait for the payment provider": (
            [StripeUnavailableError("no answer")] * 6,
            {"broken_wait": "provider"},
        ),
    }
    charges, options = ways[task]
    done = flow(*charges, **options)

    assert (done.end, done.error) == ("Ask an operator", "TrialConversionStopped")
    assert "RuntimeError" in str(done.cause)
    assert task in done.states
    assert done.delays[-5:] == [1, 2, 4, 8, 16]
