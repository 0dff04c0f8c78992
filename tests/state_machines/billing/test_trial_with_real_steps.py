"""The flow with its real steps, a test clock that its waits move, and Stripe's sandbox."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing import cures, ledger
from billing.models import PayInvoice
from contracts.billing import InvoicePaid, PaymentFailed, SubscriptionChanged, TrialEnding
from contracts.kernel import WaitUntil
from functions.billing import announce_trial_end, charge_invoice, finalise_first_invoice
from tests.doubles import StepFunctions
from tests.state_machines import asl
from tests.state_machines.asl import Run
from tests.unit.billing.scenery import NOON, Company, World

FLOW = asl.definition("billing", "trial_conversion")


@pytest.fixture
def live_through(
    world: World, step_functions: StepFunctions, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Run the flow that a registration started; `during` acts in waits, by their names."""

    def run(company: Company, **during: Callable[[], None]) -> Run:
        def wait(payload: dict[str, Any]) -> dict[str, str]:
            wanted = WaitUntil.model_validate(payload)
            if act := during.pop(wanted.name.replace("-", "_"), None):
                act()
            world.publish()
            company.set_clock(wanted.due_at)
            return {"outcome": "due"}

        (payload,) = (
            started
            for started in step_functions.started.values()
            if started["tenant_id"] == company.tenant_id
        )
        steps: dict[str, asl.Step] = {
            "wait_until": wait,
            "announce_trial_end": lambda given: announce_trial_end.handler(given, None),
            "finalise_first_invoice": lambda given: finalise_first_invoice.handler(given, None),
            "charge_invoice": lambda given: charge_invoice.handler(given, None),
        }
        done = asl.run(FLOW, payload, steps, monkeypatch)
        world.deliver()
        return done

    return run


def day(number: int) -> datetime:
    """Return the time of registration on a day of the subscription, the first being day 1."""
    return NOON + timedelta(days=number - 1)


@pytest.mark.parametrize(
    ("plan", "price"), [("inbox_starter", 97_00), ("api_starter", 1_00), ("api_pro", 5_00)]
)
def test_a_card_saved_in_the_trial_is_charged_on_day_8(
    world: World, live_through: Callable[..., Run], plan: str, price: int
) -> None:
    company = world.company(plan)
    company.save_card()
    done = live_through(company)
    (ending,), (paid,) = world.events(TrialEnding), world.events(InvoicePaid)

    assert done.end == "The subscription is paid"
    assert (ending.occurred_at, ending.has_payment_method) == (day(5), True)
    assert (paid.occurred_at, paid.total, paid.settles_account) == (
        day(8),
        ending.first_charge,
        True,
    )
    assert paid.total.amount == price
    assert company.subscription.status == "active"
    assert [charge["amount"] for charge in world.charges()] == [price]
    assert ledger.balance(company.tenant_id) == 0


def test_without_a_card_attempts_fail_on_days_8_10_and_13(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()
    done = live_through(company)
    failures = world.events(PaymentFailed)

    assert done.end == "The account is suspended for payment"
    assert [failure.occurred_at for failure in failures] == [day(8), day(10), day(13)]
    assert [failure.next_attempt_at for failure in failures] == [day(10), day(13), None]
    assert company.subscription.status == "suspended"
    assert [event.status for event in world.events(SubscriptionChanged)] == [
        "trialing",
        "past_due",
        "suspended",
    ]
    assert ledger.balance(company.tenant_id) == 97_00


def test_a_card_saved_after_the_first_failure_is_charged_on_day_10(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()
    done = live_through(company, next_attempt=lambda: company.save_card() and None)

    assert done.end == "The subscription is paid"
    assert world.events(InvoicePaid)[0].occurred_at == day(10)
    assert company.subscription.period_starts_at == day(8)


def test_who_pays_between_two_attempts_is_not_charged_again(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()

    def pay() -> None:
        company.save_card()
        cures.pay(company.caller(), company.invoice.sk, PayInvoice())

    done = live_through(company, next_attempt=pay)

    assert done.end == "The subscription is paid"
    assert len(world.charges()) == 1
    assert len(world.events(PaymentFailed)) == 1


def test_a_suspension_for_abuse_loses_nothing(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()
    company.save_card()
    done = live_through(
        company,
        trial_end=lambda: company.suspend("abuse"),
        parked=lambda: company.suspend("active"),
    )

    assert done.end == "The subscription is paid"
    assert len(world.charges()) == 1
    assert world.events(InvoicePaid)[0].occurred_at == day(8) + timedelta(hours=6)


def test_stripe_s_absence_on_day_8_costs_no_attempt(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()
    company.save_card()
    world.fault("status", status=503, times=12, method="GET")
    world.fault("status", status=503, times=2, method="POST", path="/v1/payment_intents")
    done = live_through(company)

    assert done.end == "The subscription is paid"
    assert world.events(PaymentFailed) == []
    assert len(world.charges()) == 1


def test_a_customer_who_disappears_meanwhile_is_not_charged(
    world: World, live_through: Callable[..., Run]
) -> None:
    company = world.company()
    company.save_card()

    def cancel() -> None:
        record = company.subscription
        record.status = "canceled"
        record.save()

    done = live_through(company, trial_end=cancel)

    assert done.end == "The trial was over"
    assert world.charges() == []
