"""Stripe: the only module that asks it for anything. Import it where it is used: it costs 0.25 s.

Every POST has an idempotency key of ours. Outcomes of each operation:

    declined        data: a `Payment` that failed
    unknown         StripeUnavailableError: no answer, or 409, 429, 5xx. What was asked may have
                    been done: repeat it with the same key, or look first (`find_payment`)
    misconfigured   StripeMisconfiguredError, and an alarm: repeating is of no use
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

import stripe

from billing.stripe_client import Mode, client, outcomes
from billing.stripe_objects import Card, ChargeOrder, Dispute, Payment, Refund, Setup, id_of

T = TypeVar("T")

_PAGE: Final = 100
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)


def create_customer(mode: Mode, tenant_id: str, name: str, email: str) -> str:
    """Create a tenant's customer and return its id. One POST."""
    with outcomes():
        customer = client(mode).customers.create(
            {"name": name, "email": email, "metadata": {"tenant_id": tenant_id}},
            {"idempotency_key": tenant_id},
        )
    return customer.id


def create_setup(mode: Mode, tenant_id: str, customer_id: str, key: str) -> Setup:
    """Begin to save a card for charges without its holder. One POST."""
    with outcomes():
        intent = client(mode).setup_intents.create(
            {
                "customer": customer_id,
                "usage": "off_session",
                "allowed_payment_method_types": ["card"],
                "metadata": {"tenant_id": tenant_id},
            },
            {"idempotency_key": key},
        )
    return Setup.of(intent)


def charge(mode: Mode, order: ChargeOrder) -> Payment:
    """Charge a saved card at once, its holder being absent. One POST; a refusal is data."""
    with outcomes():
        try:
            intent = client(mode).payment_intents.create(
                {
                    "amount": order.amount,
                    "currency": order.currency.lower(),
                    "customer": order.customer_id,
                    "payment_method": order.payment_method_id,
                    "confirm": True,
                    "off_session": True,
                    "allowed_payment_method_types": ["card"],
                    "description": order.description,
                    "metadata": order.metadata,
                },
                {"idempotency_key": order.idempotency_key},
            )
        except stripe.CardError as error:
            return Payment.declined(order, error)
        except stripe.InvalidRequestError as error:
            if not _is_unusable(mode, order, error):
                raise
            message = "The card was removed and cannot be charged."
            return Payment.refused(order, "payment_method_unusable", message)
    return Payment.of(intent)


def find_payment(mode: Mode, customer_id: str, key: str, since: datetime) -> Payment | None:
    """Return the payment that was made under an idempotency key, if any. One GET as a rule.

    Stripe's lists, unlike its search, show what was just made.
    """
    earliest = int((since - _CLOCK_TOLERANCE).timestamp())
    with outcomes():
        intents = client(mode).payment_intents.list(
            {"customer": customer_id, "created": {"gte": earliest}, "limit": _PAGE}
        )
        for intent in intents.auto_paging_iter():
            if getattr(intent.metadata, "attempt", None) == key:
                return Payment.of(intent)
    return None


def retrieve_payment(mode: Mode, payment_id: str) -> Payment | None:
    """Return a PaymentIntent, or None. One GET."""
    return _unless_missing(lambda: Payment.of(client(mode).payment_intents.retrieve(payment_id)))


def retrieve_setup(mode: Mode, setup_id: str) -> Setup | None:
    """Return a SetupIntent, or None. One GET."""
    return _unless_missing(lambda: Setup.of(client(mode).setup_intents.retrieve(setup_id)))


def retrieve_card(mode: Mode, payment_method_id: str) -> Card | None:
    """Return a card, or None where there is none of that id. One GET."""
    return _unless_missing(
        lambda: Card.of(client(mode).payment_methods.retrieve(payment_method_id))
    )


def detach(mode: Mode, payment_method_id: str) -> None:
    """Have Stripe forget a card; one that is gone already is no error. One POST, and a GET then."""
    with outcomes():
        try:
            client(mode).payment_methods.detach(
                payment_method_id, {}, {"idempotency_key": f"detach:{payment_method_id}"}
            )
        except stripe.InvalidRequestError:
            card = retrieve_card(mode, payment_method_id)
            if card is not None and card.customer_id is not None:
                raise


def refunds_of(mode: Mode, payment_id: str) -> list[Refund]:
    """Return a payment's refunds, oldest first. One GET as a rule."""
    with outcomes():
        listed = client(mode).refunds.list({"payment_intent": payment_id, "limit": _PAGE})
        found = [Refund.of(refund) for refund in listed.auto_paging_iter()]
    return found[::-1]


def payment_of_charge(mode: Mode, charge_id: str) -> str | None:
    """Return the PaymentIntent that a charge belongs to, if any. One GET."""
    return _unless_missing(lambda: id_of(client(mode).charges.retrieve(charge_id).payment_intent))


def payment_of_refund(mode: Mode, refund_id: str) -> str | None:
    """Return the PaymentIntent that a refund belongs to, if any. One GET."""
    return _unless_missing(lambda: id_of(client(mode).refunds.retrieve(refund_id).payment_intent))


def retrieve_dispute(mode: Mode, dispute_id: str) -> Dispute | None:
    """Return a chargeback, or None. One GET."""
    return _unless_missing(lambda: Dispute.of(client(mode).disputes.retrieve(dispute_id)))


def _unless_missing(read: Callable[[], T]) -> T | None:
    """Read an object; None where Stripe has none of that id."""
    with outcomes():
        try:
            return read()
        except stripe.InvalidRequestError as error:
            if error.http_status != 404:
                raise
            return None


def _is_unusable(mode: Mode, order: ChargeOrder, error: stripe.InvalidRequestError) -> bool:
    """Tell whether a charge was refused because the card is no longer the customer's."""
    if error.param not in {None, "payment_method"}:
        return False
    card = retrieve_card(mode, order.payment_method_id)
    return card is None or card.customer_id != order.customer_id
