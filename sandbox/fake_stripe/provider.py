"""Stripe as the shared core sees it, with its webhooks: https://docs.stripe.com/webhooks.

`Stripe-Signature: t=<seconds>,v1=<hex>`; signed is `<t>.<raw body>` by HMAC-SHA256 under the whole
`whsec_…` text. By hand, so that the Lambda does not carry the SDK; a test holds it against the SDK.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator

from sandbox.fake_stripe import schema
from sandbox.fake_stripe.session import PROVIDER
from sandbox.identifiers import new_id
from sandbox.providers import Message, Variant
from sandbox.storage import Json, UnitOfWork, now

OUT_OF_TOLERANCE_SECONDS = 3600  # the SDK tolerates 300


class FakeStripe:
    """Stripe as the shared core sees it."""

    name = PROVIDER

    def charges(self) -> Iterator[Json]:
        """The charges of the account."""
        return (stored.body for stored in UnitOfWork(PROVIDER).list("charge"))

    def complete_event(self, event: Json) -> Json:
        """Fill in what a hand-written event leaves out."""
        return {
            "id": new_id("evt"),
            "object": "event",
            "api_version": schema.api_version(),
            "created": now(),
            "data": {"object": {}},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            **event,
        }

    def message(self, event: Json, secret: str, variant: Variant, now: int) -> Message:
        """The event as Stripe renders and signs it, or in a way that must be refused."""
        body = json.dumps(event, indent=2)
        if variant is Variant.FORGED:
            secret = f"{secret}-forged"
        moved = {Variant.STALE: -OUT_OF_TOLERANCE_SECONDS, Variant.FUTURE: OUT_OF_TOLERANCE_SECONDS}
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        if variant is not Variant.UNSIGNED:
            headers["Stripe-Signature"] = signature(body, secret, now + moved.get(variant, 0))
        if variant is Variant.ALTERED:
            body = json.dumps({**event, "created": event["created"] + 1}, indent=2)
        return Message(body.encode(), headers)


def signature(body: str, secret: str, timestamp: int) -> str:
    """The value of the `Stripe-Signature` header."""
    signed = f"{timestamp}.{body}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
