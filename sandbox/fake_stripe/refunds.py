"""Refunds: https://docs.stripe.com/api/refunds.

The test cards `pendingRefund` and `refundFail` give the two asynchronous stories: the answer says
what holds at first, the events and the object tell what came of it.
"""

from sandbox.fake_stripe import cards, errors, intents, listing, metadata, objects
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

OBJECT = "refund"
CREATE_PARAMS = frozenset({"amount", "charge", "metadata", "payment_intent", "reason"})


def create(session: Session, params: Json) -> Json:
    """POST /v1/refunds."""
    charge = _charge(session, params)
    charged = charge.body
    left = charged["amount_captured"] - charged["amount_refunded"]
    amount = params.get("amount", left)
    if charged["refunded"]:
        raise errors.ApiError(
            400,
            f"Charge {charged['id']} has already been refunded.",
            code="charge_already_refunded",
        )
    if amount < 1:
        raise errors.invalid(
            "amount",
            "This value must be greater than or equal to 1.",
            "parameter_invalid_integer",
        )
    if amount > left:
        raise errors.invalid(
            "amount",
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
        )
    stored = session.add(objects.refund(session, charged, amount))
    refund = stored.body
    refund["reason"] = params.get("reason")
    refund["metadata"] = metadata.merged({}, params.get("metadata"))
    transaction = objects.balance_transaction(session, refund, -amount, 0)
    session.add(transaction)
    refund["balance_transaction"] = transaction["id"]
    before = {name: charged[name] for name in ("amount_refunded", "refunded")}
    _count(session, charge, amount)
    card = cards.by_name(charge.private["card"])
    course = card.refund if card else "succeeded"
    if course == "pending":
        refund["status"] = "pending"
    session.emit("refund.created", refund)
    session.emit("charge.refunded", charged, before)
    _note(session, refund, charged)
    answered = dict(refund)
    if course == "pending":
        refund["status"] = "succeeded"
        session.emit("refund.updated", refund, {"status": "pending"})
    elif course == "failed":
        _fail(session, refund, charge)
    return answered


def update(session: Session, params: Json, *, refund_id: str) -> Json:
    """POST /v1/refunds/{id}: only metadata."""
    stored = session.named_in_path(OBJECT, refund_id)
    before = {"metadata": stored.body["metadata"]}
    stored.body["metadata"] = metadata.merged(stored.body["metadata"], params.get("metadata"))
    session.change(stored)
    session.emit("refund.updated", stored.body, before)
    return stored.body


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/refunds."""
    charge, intent = params.get("charge"), params.get("payment_intent")
    return listing.page(
        session,
        OBJECT,
        params,
        "/v1/refunds",
        lambda stored: (
            charge in (None, stored.body["charge"])
            and intent in (None, stored.body["payment_intent"])
        ),
    )


def _charge(session: Session, params: Json) -> StoredObject:
    charge_id: str | None = params.get("charge")
    intent_id: str | None = params.get("payment_intent")
    if not charge_id and not intent_id:
        raise errors.ApiError(
            400,
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
        )
    if charge_id and intent_id:
        raise errors.invalid(
            "charge",
            "You may only specify one of these parameters: charge, payment_intent.",
            "parameters_exclusive",
        )
    if intent_id:
        intent = session.named_in_param("payment_intent", intent_id, "payment_intent").body
        if intent["status"] != intents.SUCCEEDED:
            raise intents.unexpected_state(
                intent,
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
            )
        charge_id = intent["latest_charge"]
    charge = session.named_in_param("charge", charge_id or "", "charge")
    if not charge.body["captured"]:
        raise errors.ApiError(400, f"Charge {charge_id} has no captured amount to refund.")
    return charge


def _count(session: Session, charge: StoredObject, amount: int) -> None:
    refunded = charge.body["amount_refunded"] + amount
    charge.body.update(
        amount_refunded=refunded, refunded=refunded >= charge.body["amount_captured"]
    )
    session.change(charge)


def _fail(session: Session, refund: Json, charge: StoredObject) -> None:
    """The bank sent the money back: it is the merchant's again."""
    returned = objects.balance_transaction(session, refund, refund["amount"], 0)
    session.add({**returned, "type": "refund_failure", "reporting_category": "refund_failure"})
    refund.update(
        status="failed",
        failure_reason="expired_or_canceled_card",
        failure_balance_transaction=returned["id"],
    )
    _count(session, charge, -refund["amount"])
    session.emit("refund.failed", refund, {"status": "succeeded"})
    _note(session, refund, charge.body)


def _note(session: Session, refund: Json, charged: Json) -> None:
    fields = ("object", "id", "amount", "currency", "status", "charge", "payment_intent")
    session.effects.append(
        {
            **{name: refund[name] for name in fields},
            "customer": charged["customer"],
            "metadata": refund["metadata"],
        }
    )
