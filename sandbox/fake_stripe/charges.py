"""Charges: made by PaymentIntents, read here: https://docs.stripe.com/api/charges."""

from sandbox.fake_stripe import listing, objects
from sandbox.fake_stripe.cards import Decline
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

OBJECT = "charge"
FEE_PERCENT = 2.9
FEE_FIXED = 30

EFFECT_FIELDS = (
    "object",
    "id",
    "amount",
    "amount_captured",
    "captured",
    "currency",
    "paid",
    "status",
    "customer",
    "payment_intent",
    "metadata",
)


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/charges."""
    customer, intent = params.get("customer"), params.get("payment_intent")
    return listing.page(
        session,
        OBJECT,
        params,
        "/v1/charges",
        lambda stored: (
            customer in (None, stored.body["customer"])
            and intent in (None, stored.body["payment_intent"])
        ),
    )


def authorise(session: Session, intent: Json, method: StoredObject, amount: int) -> StoredObject:
    """A charge that the issuer approved and that is not captured yet."""
    return session.add(
        objects.charge(session, intent, method.body, amount), {"card": method.private["card"]}
    )


def capture(session: Session, stored: StoredObject, amount: int) -> None:
    """Take the money of an authorised charge."""
    charge = stored.body
    fee = round(amount * FEE_PERCENT / 100) + FEE_FIXED
    transaction = objects.balance_transaction(session, charge, amount, fee)
    session.add(transaction)
    charge.update(captured=True, amount_captured=amount, balance_transaction=transaction["id"])
    session.change(stored)


def refuse(
    session: Session, intent: Json, method: StoredObject, amount: int, declined: Decline
) -> StoredObject:
    """The charge that a declined attempt leaves."""
    charge = objects.charge(session, intent, method.body, amount)
    charge.update(
        status="failed",
        paid=False,
        failure_code=declined.code,
        failure_message=declined.message,
        outcome={
            **charge["outcome"],
            "network_status": "declined_by_network",
            "reason": declined.decline_code,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
    )
    stored = session.add(charge, {"card": method.private["card"]})
    session.emit("charge.failed", charge)
    note(session, charge)
    return stored


def note(session: Session, charge: Json, what: str = OBJECT) -> None:
    """Tell the log of a charge, or of the capture of one."""
    session.effects.append({**{name: charge[name] for name in EFFECT_FIELDS}, "object": what})
