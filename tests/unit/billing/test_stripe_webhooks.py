import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from billing import stripe_client, stripe_webhooks
from billing.tables import WebhookRecord
from contracts.billing import StripeWebhookReceived
from contracts.events import PLATFORM
from kernel.errors import MalformedRequestError, NotFoundError, UnauthenticatedError
from kernel.inbound import Delivery
from kernel.settings import load
from tests.unit.billing.scenery import WEBHOOK_SECRETS, Calls, World

SUCCEEDED = "payment_intent.succeeded"


def event(event_type: str = SUCCEEDED, **changes: Any) -> bytes:
    body = {
        "id": "evt_1",
        "object": "event",
        "type": event_type,
        "created": 1_800_000_000,
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "billing_details": "Jenny"}},
    }
    return json.dumps(body | changes).encode()


def delivery(
    body: bytes,
    *,
    connection_id: str = "test",
    secret: str | None = None,
    age: int = 0,
    header: str | None = None,
) -> Delivery:
    secret = secret or WEBHOOK_SECRETS.get(connection_id, "whsec_none")
    timestamp = int(time.time()) - age
    if header is None:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)
    return Delivery(connection_id, {"stripe-signature": header}, body, datetime.now(UTC))


def test_a_verified_event_is_stored_and_announced(world: World) -> None:
    stripe_webhooks.receive(delivery(event()))
    record = WebhookRecord.find("evt_1")
    (announced,) = world.events(StripeWebhookReceived)

    assert record is not None
    assert (record.event_type, record.object_id, record.connection_id, record.status) == (
        SUCCEEDED,
        "pi_1",
        "test",
        "received",
    )
    assert record.pk == "WEBHOOK#stripe#evt_1"
    assert (announced.webhook_id, announced.tenant_id) == ("evt_1", PLATFORM)


def test_it_is_kept_for_90_days_without_its_body(world: World) -> None:
    stripe_webhooks.receive(delivery(event()))
    record = WebhookRecord.find("evt_1")

    assert record is not None
    days = (record.expires_at - datetime.now(UTC)).total_seconds() / 86_400
    assert 89.9 < days < 90.1
    assert "Jenny" not in json.dumps(record.serialize())


def test_a_double_has_no_effect(world: World) -> None:
    for _ in range(3):
        stripe_webhooks.receive(delivery(event()))

    assert len(world.events(StripeWebhookReceived)) == 1


def test_a_double_does_not_reset_what_was_done(world: World) -> None:
    stripe_webhooks.receive(delivery(event()))
    record = WebhookRecord.find("evt_1")
    assert record is not None
    record.update(actions=[WebhookRecord.status.set("processed")])
    stripe_webhooks.receive(delivery(event()))
    again = WebhookRecord.find("evt_1")

    assert again is not None
    assert again.status == "processed"


def test_types_that_nobody_works_on_are_stored_only(world: World) -> None:
    stripe_webhooks.receive(delivery(event("customer.created")))
    record = WebhookRecord.find("evt_1")

    assert record is not None
    assert record.status == "ignored"
    assert world.events(StripeWebhookReceived) == []


@pytest.mark.parametrize("age", [-290, 0, 290])
def test_time_stamps_near_to_now_are_taken(world: World, age: int) -> None:
    stripe_webhooks.receive(delivery(event(), age=age))


@pytest.mark.parametrize("age", [-310, 310, 86_400, -86_400])
def test_time_stamps_far_from_now_are_refused(world: World, age: int) -> None:
    with pytest.raises(UnauthenticatedError):
        stripe_webhooks.receive(delivery(event(), age=age))
    assert WebhookRecord.find("evt_1") is None


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", "t=1", "t=x,v1=ab", "t=99999999999,v1=ab", "v1=ab", "t=1,v0=ab", "t=,v1="],
)
def test_headers_that_prove_nothing_are_refused(world: World, header: str) -> None:
    with pytest.raises(UnauthenticatedError):
        stripe_webhooks.receive(delivery(event(), header=header))


def test_another_secret_s_signature_is_refused(world: World) -> None:
    with pytest.raises(UnauthenticatedError):
        stripe_webhooks.receive(delivery(event(), secret=WEBHOOK_SECRETS["live"]))


def test_a_body_that_was_changed_is_refused(world: World) -> None:
    signed = delivery(event())
    changed = Delivery("test", signed.headers, event(id="evt_2"), signed.received_at)
    with pytest.raises(UnauthenticatedError):
        stripe_webhooks.receive(changed)


def test_the_signature_is_over_the_bytes_as_they_came(world: World) -> None:
    spaced = event().replace(b'": ', b'" :  ').replace(b"evt_1", "evt_ü".encode())
    stripe_webhooks.receive(delivery(spaced))

    assert WebhookRecord.find("evt_ü") is not None


def test_bytes_that_are_no_text_are_refused(world: World) -> None:
    with pytest.raises(UnauthenticatedError):
        stripe_webhooks.receive(delivery(b"\xff\xfe", header=f"t={int(time.time())},v1=ab"))


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", event(data={}), event(object="charge")])
def test_what_is_signed_but_no_event_is_malformed(world: World, body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        stripe_webhooks.receive(delivery(body))


@pytest.mark.parametrize("connection_id", ["prod", "TEST", "live2"])
def test_an_unknown_connection_is_not_found(world: World, connection_id: str) -> None:
    with pytest.raises(NotFoundError):
        stripe_webhooks.receive(delivery(event(), connection_id=connection_id))


def test_live_events_do_not_come_to_the_test_connection(world: World) -> None:
    with pytest.raises(MalformedRequestError):
        stripe_webhooks.receive(delivery(event(livemode=True)))
    stripe_webhooks.receive(delivery(event(livemode=True), connection_id="live"))


def test_test_events_come_to_the_live_connection_outside_production_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = delivery(event(), connection_id="live")
    stripe_webhooks.receive(signed)
    credentials = stripe_client.credentials("live")
    monkeypatch.setattr(stripe_webhooks, "credentials", lambda _mode: credentials)
    monkeypatch.setenv("MAILROOM_STAGE", "production")
    load.cache_clear()
    with pytest.raises(MalformedRequestError):
        stripe_webhooks.receive(signed)


def test_calls(world: World, calls: Calls) -> None:
    stripe_webhooks.receive(delivery(event()))
    assert calls.take() == ["GetSecretValue", "TransactWriteItems"]
    stripe_webhooks.receive(delivery(event(id="evt_2")))
    assert calls.take() == ["TransactWriteItems"]
