"""What billing reads of Stripe's objects, as plain data: minor units, ISO currencies, UTC.

StripeObject is no mapping (since SDK 15): fields that may be absent are read by `getattr`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

import stripe

PaymentStatus = Literal["succeeded", "failed", "processing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """What is to be charged; repeating it with the same key charges once."""

    idempotency_key: str
    amount: int
    currency: str
    customer_id: str
    payment_method_id: str
    description: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A PaymentIntent: what became of a charge. `failure_code` is the issuer's where it has one."""

    id: str | None
    status: PaymentStatus
    amount: int
    currency: str
    customer_id: str | None
    metadata: dict[str, str]
    failure_code: str = ""
    failure_message: str = ""

    @classmethod
    def of(cls, intent: stripe.PaymentIntent) -> Self:
        """Read a PaymentIntent; one that needs its payer counts as failed."""
        status: PaymentStatus = "failed"
        if intent.status == "succeeded":
            status = "succeeded"
        elif intent.status == "processing":
            status = "processing"
        error: Any = intent.last_payment_error
        code = getattr(error, "decline_code", None) or getattr(error, "code", None)
        return cls(
            id=intent.id,
            status=status,
            amount=intent.amount_received if status == "succeeded" else intent.amount,
            currency=intent.currency.upper(),
            customer_id=id_of(intent.customer),
            metadata=intent.metadata.to_dict(),
            failure_code=code or intent.status,
            failure_message=getattr(error, "message", None) or "The card could not be charged.",
        )

    @classmethod
    def refused(
        cls, order: ChargeOrder, code: str, message: str, *, payment_id: str | None = None
    ) -> Self:
        """Return the failed payment of an order that Stripe refused."""
        return cls(
            id=payment_id,
            status="failed",
            amount=order.amount,
            currency=order.currency,
            customer_id=order.customer_id,
            metadata=order.metadata,
            failure_code=code,
            failure_message=message,
        )

    @classmethod
    def declined(cls, order: ChargeOrder, error: stripe.CardError) -> Self:
        """Return the failed payment of an order whose card was declined."""
        details: Any = error.error
        code = getattr(details, "decline_code", None) or error.code or "card_declined"
        intent = getattr(details, "payment_intent", None)
        message = error.user_message or "The card was declined."
        return cls.refused(order, code, message, payment_id=id_of(intent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A PaymentMethod and the customer that it is attached to, if any."""

    id: str
    customer_id: str | None
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    created_at: datetime

    @classmethod
    def of(cls, method: stripe.PaymentMethod) -> Self | None:
        """Read a PaymentMethod; None where it is no card."""
        card: Any = getattr(method, "card", None)
        if card is None:
            return None
        return cls(
            id=method.id,
            customer_id=id_of(method.customer),
            brand=card.brand,
            last4=card.last4,
            exp_month=card.exp_month,
            exp_year=card.exp_year,
            created_at=moment(method.created),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A SetupIntent."""

    id: str
    status: str
    client_secret: str | None
    customer_id: str | None
    payment_method_id: str | None
    metadata: dict[str, str]
    created_at: datetime

    @classmethod
    def of(cls, intent: stripe.SetupIntent) -> Self:
        """Read a SetupIntent."""
        metadata: Any = intent.metadata
        return cls(
            id=intent.id,
            status=intent.status,
            client_secret=intent.client_secret,
            customer_id=id_of(intent.customer),
            payment_method_id=id_of(intent.payment_method),
            metadata=metadata.to_dict() if metadata is not None else {},
            created_at=moment(intent.created),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that goes back to a card."""

    id: str
    status: str
    amount: int
    currency: str
    created_at: datetime

    @classmethod
    def of(cls, refund: stripe.Refund) -> Self:
        """Read a Refund."""
        return cls(
            id=refund.id,
            status=refund.status or "pending",
            amount=refund.amount,
            currency=refund.currency.upper(),
            created_at=moment(refund.created),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A chargeback."""

    id: str
    payment_id: str | None
    amount: int
    currency: str
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, dispute: stripe.Dispute) -> Self:
        """Read a Dispute."""
        return cls(
            id=dispute.id,
            payment_id=id_of(dispute.payment_intent),
            amount=dispute.amount,
            currency=dispute.currency.upper(),
            reason=dispute.reason,
            created_at=moment(dispute.created),
        )


def id_of(reference: Any) -> str | None:
    """Return the id of what may be absent, an id or an expanded object."""
    if reference is None or isinstance(reference, str):
        return reference
    found: str = reference.id
    return found


def moment(epoch_seconds: int) -> datetime:
    """Return the UTC time of Stripe's seconds since the epoch."""
    return datetime.fromtimestamp(epoch_seconds, UTC)
