"""Receiving Stripe's webhooks: verify, store once, answer; the work is a subscriber's.

Order does not matter and doubles do no harm, as the work reads the object from Stripe again. The
signature is over the raw bytes (https://docs.stripe.com/webhooks#verify-manually); its time stamp
may be 300 s old or early, of which Stripe's SDK checks only the former.
"""

import hashlib
import time
from datetime import timedelta
from typing import Final, Literal

import stripe
from pydantic import BaseModel, ValidationError

from billing.settings import BillingSettings
from billing.stripe_client import MODES, Mode, credentials
from billing.stripe_objects import moment
from billing.tables import WebhookRecord
from contracts.billing import StripeWebhookReceived
from contracts.events import PLATFORM
from kernel import clock
from kernel.errors import (
    ConflictError,
    MalformedRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from kernel.inbound import Delivery
from kernel.principals import System
from kernel.settings import load
from kernel.transactions import Transaction

HANDLED: Final = frozenset(
    {
        "charge.dispute.created",
        "charge.refunded",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
        "payment_method.detached",
        "refund.failed",
        "refund.updated",
        "setup_intent.succeeded",
    }
)
"""The types that `stripe_events` works on; others are stored and left alone."""

IGNORED: Final = "ignored"

_ACTOR: Final = System(name="billing/receive_stripe_webhook")
_TOLERANCE_SECONDS: Final = 300
_KEPT_FOR: Final = timedelta(days=90)


class _EventObject(BaseModel):
    id: str


class _EventData(BaseModel):
    object: _EventObject


class _StripeEvent(BaseModel):
    """What is read of an event; the object that it quotes may be stale."""

    id: str
    object: Literal["event"]
    type: str
    created: int
    livemode: bool
    data: _EventData


class _ReceivedError(ConflictError):
    """The event was received before."""


def receive(delivery: Delivery) -> None:
    """Verify an event and store it with the fact that it came. One transaction.

    Raises UnauthenticatedError for a signature or time stamp that is not right.
    """
    if delivery.connection_id not in MODES:
        raise NotFoundError
    mode = delivery.connection_id
    _verify(delivery, credentials(mode).webhook_secret)
    try:
        event = _StripeEvent.model_validate_json(delivery.body)
    except ValidationError as error:
        raise MalformedRequestError("The body is no event of Stripe's.") from error
    _check_mode(event, mode)
    is_handled = event.type in HANDLED
    record = WebhookRecord.of(
        event.id,
        connection_id=mode,
        event_type=event.type,
        object_id=event.data.object.id,
        created_at=moment(event.created),
        received_at=delivery.received_at,
        body_hash=hashlib.sha256(delivery.body).hexdigest(),
        status=WebhookRecord.RECEIVED if is_handled else IGNORED,
        expires_at=clock.wall() + _KEPT_FOR,
    )
    try:
        with Transaction(_ACTOR, PLATFORM, at=delivery.received_at) as transaction:
            transaction.create(record, conflict=_ReceivedError())
            if is_handled:
                transaction.emit(
                    StripeWebhookReceived(
                        tenant_id=PLATFORM,
                        occurred_at=delivery.received_at,
                        subject=event.id,
                        webhook_id=event.id,
                        connection_id=mode,
                    ),
                    changes={"type": event.type, "object": event.data.object.id},
                )
    except _ReceivedError:
        return


def _verify(delivery: Delivery, secret: str) -> None:
    header = delivery.headers.get("stripe-signature", "")
    try:
        stripe.WebhookSignature.verify_header(delivery.body, header, secret, _TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
        raise UnauthenticatedError("The signature is not valid.") from error
    signed_at = next(part[2:] for part in header.split(",") if part.startswith("t="))
    if int(signed_at) > time.time() + _TOLERANCE_SECONDS:
        raise UnauthenticatedError("The signature is from the future.")


def _check_mode(event: _StripeEvent, mode: Mode) -> None:
    """Refuse live events of the test connection, and in production test events of the live one."""
    in_production = load(BillingSettings).mailroom_stage == "production"
    if (mode == "test" and event.livemode) or (
        mode == "live" and in_production and not event.livemode
    ):
        raise MalformedRequestError("The event is of the other mode.")
