import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from billing import alarms, stripe_client, stripe_gateway
from billing.errors import StripeMisconfiguredError, StripeUnavailableError
from billing.stripe_objects import ChargeOrder
from kernel import aws
from tests.unit.billing.scenery import API_KEY, Company, World

ROOT = Path(__file__).parents[3]
FUNCTIONS = sorted(path.stem for path in (ROOT / "functions" / "billing").glob("*.py"))
WITH_STRIPE = {
    "charge_invoice",
    "create_setup_intent",
    "delete_payment_method",
    "pay_invoice",
    "process_stripe_webhook",
    "receive_stripe_webhook",
    "start_subscription",
}


@pytest.fixture
def sounded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(alarms, "count", names.append)
    return names


def set_secret(mode: str, **changes: str) -> None:
    name = f"mailroom/local/stripe/{mode}"
    secrets = aws.client("secretsmanager")
    value = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(value | changes))
    stripe_client._credentials.cache_clear()


def order(company: Company, **changes: Any) -> ChargeOrder:
    given: dict[str, Any] = {
        "idempotency_key": "inv_1:1",
        "amount": 97_00,
        "currency": "USD",
        "customer_id": company.account.stripe_customer_id,
        "payment_method_id": "pm_card_visa",
        "description": "Inbox Starter",
        "metadata": {"tenant_id": company.tenant_id},
    }
    return ChargeOrder(**given | changes)


def test_each_mode_has_credentials_of_its_own(world: World) -> None:
    assert stripe_client.credentials("test").webhook_secret == "whsec_for_tests"
    assert stripe_client.credentials("live").webhook_secret == "whsec_for_live"
    assert stripe_client.mode_of("tnt_test_1") == "test"
    assert stripe_client.mode_of("tnt_1") == "live"


def test_timeouts_and_repetitions_are_bounded(world: World) -> None:
    client = stripe_client._client(API_KEY)
    requestor = client._requestor

    assert requestor._options.max_network_retries == 1
    http_client: Any = requestor._client
    assert http_client._timeout == (3.05, 5.0)


def test_a_live_key_never_serves_tests(world: World, sounded: list[str]) -> None:
    for key in ("sk_live_1", "rk_live_1"):
        set_secret("test", api_key=key)
        with pytest.raises(StripeMisconfiguredError):
            stripe_client.credentials("test")
    assert sounded == ["StripeMisconfigured"] * 2


def test_a_test_key_does_not_serve_production(
    world: World, sounded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stripe_client, "load", lambda _: type("Settings", (), {"mailroom_stage": "production"})
    )
    aws.client("secretsmanager").create_secret(
        Name="mailroom/production/stripe/live",
        SecretString=json.dumps(
            {"api_key": API_KEY, "publishable_key": "pk", "webhook_secret": "whsec"}
        ),
    )
    with pytest.raises(StripeMisconfiguredError):
        stripe_client.credentials("live")
    assert sounded == ["StripeMisconfigured"]


def test_a_missing_or_broken_secret_is_an_alarm_that_tells_nothing(
    world: World, sounded: list[str]
) -> None:
    set_secret("test", webhook_secret="whsec_secret")
    aws.client("secretsmanager").put_secret_value(
        SecretId="mailroom/local/stripe/test", SecretString='{"api_key": "sk_test_secret"}'
    )
    with pytest.raises(StripeMisconfiguredError) as caught:
        stripe_client.credentials("test")
    aws.client("secretsmanager").delete_secret(SecretId="mailroom/local/stripe/live")
    with pytest.raises(StripeMisconfiguredError):
        stripe_client.credentials("live")

    assert "sk_test_secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert sounded == ["StripeMisconfigured"] * 2


def test_a_key_that_stripe_refuses_is_read_again(world: World, sounded: list[str]) -> None:
    company = world.company()
    set_secret("test", api_key="not_a_key")
    with pytest.raises(StripeMisconfiguredError):
        stripe_gateway.retrieve_payment("test", "pi_1")
    aws.client("secretsmanager").put_secret_value(
        SecretId="mailroom/local/stripe/test",
        SecretString=json.dumps(
            {"api_key": API_KEY, "publishable_key": "pk", "webhook_secret": "whsec"}
        ),
    )

    assert stripe_gateway.retrieve_payment("test", "pi_1") is None
    assert sounded == ["StripeMisconfigured"]
    assert company.account.stripe_customer_id


def test_a_request_of_ours_that_stripe_cannot_take_is_an_alarm(
    company: Company, sounded: list[str]
) -> None:
    with pytest.raises(StripeMisconfiguredError):
        stripe_gateway.charge("test", order(company, amount=1))
    assert sounded == ["StripeMisconfigured"]


def test_a_key_with_other_parameters_is_an_alarm(company: Company, sounded: list[str]) -> None:
    stripe_gateway.charge("test", order(company))
    with pytest.raises(StripeMisconfiguredError):
        stripe_gateway.charge("test", order(company, amount=98_00))
    assert sounded == ["StripeMisconfigured"]


def test_the_same_order_is_charged_once(world: World, company: Company) -> None:
    first = stripe_gateway.charge("test", order(company))
    second = stripe_gateway.charge("test", order(company))

    assert first == second
    assert first.status == "succeeded"
    assert (first.amount, first.currency) == (97_00, "USD")
    assert len(world.charges()) == 1


def test_a_lost_answer_is_had_by_the_sdk_s_one_repetition(world: World, company: Company) -> None:
    world.fault("drop", method="POST", path="/v1/payment_intents", times=1)

    assert stripe_gateway.charge("test", order(company)).status == "succeeded"
    assert len(world.charges()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_no_result_is_unknown(world: World, company: Company, status: int) -> None:
    world.fault("status", status=status, times="always")
    with pytest.raises(StripeUnavailableError):
        stripe_gateway.charge("test", order(company))
    with pytest.raises(StripeUnavailableError):
        stripe_gateway.find_payment("test", "cus_1", "key", company.subscription.started_at)


def test_nobody_at_the_other_end_is_unknown(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = stripe.StripeClient(
        API_KEY, base_addresses={"api": "http://127.0.0.1:9"}, max_network_retries=0
    )
    monkeypatch.setattr(stripe_client, "_client", lambda _key: client)
    with pytest.raises(StripeUnavailableError) as caught:
        stripe_gateway.charge("test", order(company))
    assert caught.value.headers["Retry-After"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_functions_that_need_stripe_import_it(name: str) -> None:
    program = f"import sys, functions.billing.{name}; print('stripe' in sys.modules)"
    paths = [ROOT, *ROOT.glob("layers/*/python")]
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(map(str, paths)), "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lazily = {"charge_invoice", "delete_payment_method", "start_subscription"}
    assert answer.stdout.strip() == str(name in WITH_STRIPE - lazily)
