from typing import Any

import pytest

from contracts.billing import PLANS, PaymentMethodSaved
from contracts.events import Event
from kernel.encryption import SealBrokenError
from kernel.ids import new_id, new_tenant_id
from notifications import composition, contacts
from notifications.composition import compose
from notifications.rendering import render
from tests.unit.notifications import scenery

pytestmark = pytest.mark.usefixtures("tables")


@pytest.fixture
def tenant() -> str:
    """A tenant whose contact is known."""
    tenant_id = new_tenant_id("live")
    contacts.remember(scenery.tenant_registered(tenant_id, "Acme <Mail>"))
    return tenant_id


def text_of(event: Event) -> str:
    mail = compose(event)
    return " ".join(render(mail.template, mail.values).text.split())


def test_each_event_makes_its_mail(tenant: str, opened: None) -> None:
    for template, event in scenery.each_event(tenant):
        assert compose(event).template.name == template


def test_an_event_without_a_mail_is_an_error() -> None:
    event = PaymentMethodSaved(
        tenant_id=new_tenant_id("live"),
        occurred_at=scenery.NOON,
        subject=new_id("pm"),
        payment_method_id=new_id("pm"),
        card="visa ending 4242",
    )
    with pytest.raises(LookupError, match=r"billing\.payment_method_saved"):
        compose(event)


def test_a_secret_sealed_for_another_request_is_not_mailed(keys: None) -> None:
    event = scenery.with_secret(scenery.registration())

    with pytest.raises(SealBrokenError):
        compose(event.model_copy(update={"subject": new_id("reg")}))


def test_a_key_is_reported_to_whom_created_it(tenant: str) -> None:
    event = scenery.key_created(tenant, name="Production")

    assert compose(event).recipient == "developer@acme.example"
    assert "Name: Production" in text_of(event)


def test_the_receipt_names_sum_purpose_invoice_and_card(tenant: str) -> None:
    event = scenery.invoice_paid(tenant)
    text = text_of(event)

    for words in ("Paid: $10.00", "For: API Starter, December", event.invoice_id, "ending 4242"):
        assert words in text


def test_a_receipt_without_a_card_says_so_little(tenant: str) -> None:
    event = scenery.invoice_paid(tenant).model_copy(update={"card": None})

    assert "By: card" in text_of(event)


def test_a_trial_with_a_card_says_what_is_charged(tenant: str) -> None:
    text = text_of(scenery.trial_ending(tenant, has_payment_method=True))

    assert "on that day $10.00 are charged" in text
    assert "23 November 2026, 12:00 UTC" in text


def test_a_trial_without_a_card_asks_for_one(tenant: str) -> None:
    text = text_of(scenery.trial_ending(tenant, has_payment_method=False))

    assert "No card is saved yet" in text
    assert "/billing/payment-methods" in text


def test_a_failed_payment_links_to_its_invoice_and_names_the_next_attempt(tenant: str) -> None:
    event = scenery.payment_failed(tenant)
    text = text_of(event)

    assert f"/billing/invoices/{event.invoice_id}/pay" in text
    assert "We try again on 22 November 2026" in text
    assert "The card's account does not hold enough." in text


def test_after_the_last_attempt_there_is_no_next(tenant: str) -> None:
    text = text_of(scenery.payment_failed(tenant, last=True))

    assert "This was the last attempt" in text
    assert "Next attempt: none" in text
    assert "try again" not in text


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("expired_card", "The card has expired."),
        ("fraudulent", "The payment was refused."),
        ("Your card was declined.", "Your card was declined."),
        ("No card is saved", "No card is saved."),
    ],
)
def test_a_failed_payment_says_why_in_a_sentence(tenant: str, reason: str, sentence: str) -> None:
    text = text_of(scenery.payment_failed(tenant, reason=reason))

    assert f"for Acme <Mail>. {sentence}" in text
    assert "fraudulent" not in text


@pytest.mark.parametrize("reason", ["payment", "abuse", "blacklisted", "terms"])
def test_a_suspension_gives_its_reason_and_the_way_out(tenant: str, reason: Any) -> None:
    text = text_of(scenery.suspended(tenant, reason))

    assert ("Pay the open invoice" in text) == (reason == "payment")
    assert "Nothing is deleted" in text
    assert "The reason is" in text


@pytest.mark.parametrize("reason", ["payment", "abuse", "blacklisted", "terms"])
def test_lifting_one_of_two_suspensions_does_not_promise_too_much(tenant: str, reason: Any) -> None:
    text = text_of(scenery.reactivated(tenant, reason, is_open=False))

    assert "still suspended" in text
    assert "everything works again" not in text


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_has_a_name(plan: str) -> None:
    assert plan in composition._PLAN_NAMES


def test_a_plan_that_is_newer_than_this_code_is_called_by_its_code(tenant: str) -> None:
    event = scenery.tenant_registered(tenant).model_copy(update={"plan": "api_ultra"})

    assert "Plan: api_ultra" in text_of(event)
