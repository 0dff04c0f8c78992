"""Each function with its sample events, through the real handler."""

import importlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import stripe

from billing import stripe_client
from billing.tables import PaymentMethodRecord, WebhookRecord
from tests.callers import bearer
from tests.doubles import StepFunctions
from tests.unit.billing.scenery import NOON, WEBHOOK_SECRETS, Company, World

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "events" / "billing"
FUNCTIONS = sorted(path.stem for path in (ROOT / "functions" / "billing").glob("*.py"))
CARD = "card_01jd3v8m5ke5c8qv0m5w6r3x2y"
DONE: dict[str, Any] = {"batchItemFailures": []}

ENDPOINTS = {
    "list_plans/all": 200,
    "list_subscriptions/first_page": 200,
    "get_subscription/trialing": 200,
    "create_setup_intent/new": 201,
    "list_payment_methods/first_page": 200,
    "get_payment_method/visa": 200,
    "update_payment_method/make_default": 200,
    "delete_payment_method/visa": 204,
    "list_invoices/first_page": 200,
    "get_invoice/open": 200,
    "pay_invoice/default_card": 200,
    "pay_invoice/named_card": 200,
    "get_usage/this_month": 200,
    "list_ledger_entries/first_page": 200,
}


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return loaded


def run(name: str, event: dict[str, Any] | None = None) -> Any:
    module = importlib.import_module(f"functions.billing.{name.partition('/')[0]}")
    return module.handler(sample(name) if event is None else event, None)


@pytest.fixture
def subscribed(tenant: Company) -> Company:
    assert run("start_subscription/inbox_starter") == DONE
    return tenant


@pytest.fixture
def invoiced(subscribed: Company) -> Company:
    """The tenant with the card and the invoice of the samples."""
    card = subscribed.give_card()
    attributes = card.attribute_values | {"sk": CARD}
    PaymentMethodRecord(**attributes).save()
    subscribed.finalise()
    return subscribed


def test_every_function_has_samples() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir()) == FUNCTIONS


def test_every_sample_is_run() -> None:
    others = {
        "announce_trial_end/inbox_starter",
        "charge_invoice/first_attempt",
        "charge_invoice/last_attempt",
        "end_dunning/paid",
        "finalise_first_invoice/inbox_starter",
        "process_stripe_webhook/stored",
        "receive_stripe_webhook/customer_created",
        "receive_stripe_webhook/payment_intent_succeeded",
        "receive_stripe_webhook/setup_intent_succeeded",
        "start_subscription/api_free",
        "start_subscription/inbox_starter",
    }
    found = {str(path.relative_to(SAMPLES).with_suffix("")) for path in SAMPLES.glob("*/*.json")}

    assert found == others | set(ENDPOINTS)


@pytest.mark.parametrize(("name", "status"), ENDPOINTS.items(), ids=ENDPOINTS)
def test_endpoints(invoiced: Company, name: str, status: int) -> None:
    event = sample(name)
    headers = {key.lower(): value for key, value in bearer(invoiced.tenant_id).items()}
    event["headers"] |= headers
    answer = run(name, event)

    assert answer["statusCode"] == status, answer["body"]


@pytest.mark.parametrize("name", sorted(set(ENDPOINTS) - {"list_plans/all"}))
def test_endpoints_want_credentials(tenant: Company, name: str) -> None:
    answer = run(name)

    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["code"] == "auth.unauthenticated"


@pytest.mark.parametrize("name", ["inbox_starter", "api_free"])
def test_starts_a_subscription_once(
    tenant: Company, name: str, step_functions: StepFunctions
) -> None:
    for _ in range(2):
        assert run(f"start_subscription/{name}") == DONE

    assert tenant.subscription.plan == name
    assert tenant.subscription.started_at == NOON
    assert len(step_functions.started) == (name == "inbox_starter")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("setup_intent_succeeded", "received"),
        ("payment_intent_succeeded", "received"),
        ("customer_created", "ignored"),
    ],
)
def test_receives_webhooks_that_are_signed_now(world: World, name: str, status: str) -> None:
    event = sample(f"receive_stripe_webhook/{name}")
    stale = run(f"receive_stripe_webhook/{name}", event)
    event["headers"]["stripe-signature"] = stripe.WebhookSignature.generate_signature_header(
        event["body"], WEBHOOK_SECRETS["test"], int(time.time())
    )
    answers = [run(f"receive_stripe_webhook/{name}", event)["statusCode"] for _ in range(3)]
    record = WebhookRecord.find("evt_1PgagD7B7WZ01zgkW")

    assert (stale["statusCode"], answers) == (401, [200] * 3)
    assert record is not None
    assert record.status == status


def test_works_on_a_stored_webhook(world: World) -> None:
    event = sample("receive_stripe_webhook/setup_intent_succeeded")
    event["headers"]["stripe-signature"] = stripe.WebhookSignature.generate_signature_header(
        event["body"], WEBHOOK_SECRETS["test"], int(time.time())
    )
    run("receive_stripe_webhook", event)
    assert run("process_stripe_webhook/stored") == DONE
    record = WebhookRecord.find("evt_1PgagD7B7WZ01zgkW")

    assert record is not None
    assert (record.status, record.detail) == ("processed", "nothing to save")


def test_a_webhook_of_an_unknown_secret_s_mode_is_an_error(world: World) -> None:
    stripe_client._credentials.cache_clear()
    event = sample("receive_stripe_webhook/customer_created") | {"rawPath": "/other"}

    assert run("receive_stripe_webhook", event)["statusCode"] == 404


def test_the_steps_of_a_trial(subscribed: Company) -> None:
    subscribed.give_card()
    assert run("announce_trial_end/inbox_starter") == {"outcome": "announced"}
    finalised = run("finalise_first_invoice/inbox_starter")
    assert finalised == {"outcome": "finalised", "invoice_id": subscribed.invoice.sk}
    assert run("charge_invoice/first_attempt")["outcome"] == "paid"
    assert run("end_dunning/paid") == DONE


def test_the_last_attempt_of_a_trial(subscribed: Company) -> None:
    subscribed.finalise()

    assert run("charge_invoice/last_attempt") == {
        "outcome": "failed",
        "next_attempt_at": None,
        "resume_at": None,
    }
    assert subscribed.subscription.status == "suspended"


@pytest.mark.parametrize(
    "payload", [{}, {"tenant_id": 1}, {"tenant_id": "t", "invoice_id": "i", "attempt": 0}]
)
def test_a_step_refuses_what_it_cannot_read(world: World, payload: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        run("charge_invoice", payload)
