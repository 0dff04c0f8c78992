"""Working on Stripe's stored events: each reads the object again and applies what it is now."""

from collections.abc import Callable
from typing import Final, cast

from billing import alarms, payment_methods, refunds, settlements, stripe_gateway
from billing.errors import DiscrepancyError
from billing.stripe_client import Mode, mode_of
from billing.stripe_objects import Payment
from billing.tables import (
    AttemptRecord,
    ChargebackRecord,
    LookupRecord,
    PaymentMethodRecord,
    WebhookRecord,
)
from contracts.billing import StripeWebhookReceived
from kernel import clock
from kernel.errors import ConflictError
from kernel.ids import derive_id
from kernel.principals import System
from kernel.tables import find
from kernel.transactions import Transaction

_ACTOR: Final = System(name="billing/process_stripe_webhook")


class _RecordedError(ConflictError):
    """The chargeback was recorded before."""


def process(event: StripeWebhookReceived) -> None:
    """Apply a stored event, and note what came of it: one read, the work, one write.

    What contradicts our records changes nothing, is kept in the audit log and sounds an alarm.
    """
    webhook = WebhookRecord.find(event.webhook_id)
    if webhook is None or webhook.status != WebhookRecord.RECEIVED:
        return
    work = _WORK[webhook.event_type]
    try:
        status, detail = "processed", work(cast("Mode", webhook.connection_id), webhook.object_id)
    except DiscrepancyError as error:
        status, detail = "discrepancy", str(error)
        alarms.record_discrepancy(_ACTOR, event.webhook_id, detail)
    webhook.update(actions=[WebhookRecord.status.set(status), WebhookRecord.detail.set(detail)])


def _save_card(mode: Mode, setup_id: str) -> str:
    """Save the card of a SetupIntent that succeeded."""
    setup = stripe_gateway.retrieve_setup(mode, setup_id)
    if setup is None or setup.status != "succeeded" or setup.payment_method_id is None:
        return "nothing to save"
    tenant_id = _tenant_of(mode, setup.customer_id, setup.metadata)
    if tenant_id is None:
        return "not ours"
    card = stripe_gateway.retrieve_card(mode, setup.payment_method_id)
    if card is None or card.customer_id != setup.customer_id:
        return "removed since"
    record = PaymentMethodRecord(
        tenant_id,
        PaymentMethodRecord.id_of(card.id, card.created_at),
        stripe_payment_method_id=card.id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        created_at=clock.tenant(tenant_id),
    )
    return "saved" if payment_methods.save(tenant_id, record, _ACTOR) else "known"


def _forget_card(mode: Mode, payment_method_id: str) -> str:
    """Forget a card that is no longer attached."""
    lookup = LookupRecord.find(payment_method_id)
    if lookup is None or lookup.removed_at is not None:
        return "unknown"
    card = stripe_gateway.retrieve_card(mode, payment_method_id)
    if card is not None and card.customer_id is not None:
        return "still attached"
    forgotten = payment_methods.forget(lookup.tenant_id, lookup.resource_id, _ACTOR)
    return "forgotten" if forgotten else "unknown"


def _apply_payment(mode: Mode, payment_id: str) -> str:
    """Settle or fail the attempt that a payment belongs to."""
    payment = stripe_gateway.retrieve_payment(mode, payment_id)
    if payment is None or "invoice_id" not in payment.metadata:
        return "not an invoice's"
    tenant_id = _owner(mode, payment)
    if payment.status == "succeeded":
        settlements.settle(tenant_id, payment, _ACTOR)
        return "paid"
    if payment.status == "failed" and (attempt := _open_attempt(tenant_id, payment)):
        settlements.fail(tenant_id, attempt, payment.failure_code, payment.failure_message, _ACTOR)
        return "failed"
    return "nothing new"


def _apply_refunds_of_charge(mode: Mode, charge_id: str) -> str:
    payment_id = stripe_gateway.payment_of_charge(mode, charge_id)
    return _apply_refunds(mode, payment_id) if payment_id else "not an invoice's"


def _apply_refunds_of_refund(mode: Mode, refund_id: str) -> str:
    payment_id = stripe_gateway.payment_of_refund(mode, refund_id)
    return _apply_refunds(mode, payment_id) if payment_id else "not an invoice's"


def _apply_refunds(mode: Mode, payment_id: str) -> str:
    """Record each refund of an invoice's payment that has gone through."""
    payment = stripe_gateway.retrieve_payment(mode, payment_id)
    if payment is None or "invoice_id" not in payment.metadata:
        return "not an invoice's"
    tenant_id = _owner(mode, payment)
    invoice_id = settlements.settle(tenant_id, payment, _ACTOR).sk
    found = stripe_gateway.refunds_of(mode, payment_id)
    recorded = sum(refunds.record(tenant_id, invoice_id, refund, _ACTOR) for refund in found)
    return f"{recorded} recorded"


def _record_chargeback(mode: Mode, dispute_id: str) -> str:
    """Record a chargeback of an invoice's payment, and tell staff."""
    dispute = stripe_gateway.retrieve_dispute(mode, dispute_id)
    if dispute is None or dispute.payment_id is None:
        return "not an invoice's"
    payment = stripe_gateway.retrieve_payment(mode, dispute.payment_id)
    if payment is None or "invoice_id" not in payment.metadata:
        return "not an invoice's"
    tenant_id = _owner(mode, payment)
    record = ChargebackRecord(
        tenant_id,
        derive_id("chb", dispute.created_at, dispute.id),
        invoice_id=payment.metadata["invoice_id"],
        amount=dispute.amount,
        currency=dispute.currency,
        reason=dispute.reason,
        opened_at=clock.tenant(tenant_id),
        provider_id=dispute.id,
    )
    try:
        with Transaction(_ACTOR, tenant_id, at=record.opened_at) as transaction:
            transaction.create(record, conflict=_RecordedError())
            transaction.note(
                "billing.chargeback_opened", record.invoice_id, {"reason": record.reason}
            )
    except _RecordedError:
        return "known"
    alarms.sound(
        "ChargebackOpened",
        "A payment is disputed at the bank",
        tenant_id=tenant_id,
        invoice_id=record.invoice_id,
    )
    return "recorded"


def _owner(mode: Mode, payment: Payment) -> str:
    """Return the tenant of a payment for an invoice."""
    tenant_id = _tenant_of(mode, payment.customer_id, payment.metadata)
    if tenant_id is None:
        raise DiscrepancyError("The payment's customer is no tenant's")
    return tenant_id


def _tenant_of(mode: Mode, customer_id: str | None, metadata: dict[str, str]) -> str | None:
    """Return whose a Stripe customer is; what the object says of itself must agree."""
    lookup = LookupRecord.find(customer_id) if customer_id else None
    if lookup is None:
        return None
    tenant_id = str(lookup.tenant_id)
    if metadata.get("tenant_id") != tenant_id:
        raise DiscrepancyError("The object names another tenant than its customer's")
    if mode_of(tenant_id) != mode:
        raise DiscrepancyError("The object is of the other mode than its tenant")
    return tenant_id


def _open_attempt(tenant_id: str, payment: Payment) -> AttemptRecord | None:
    invoice_id, _, name = payment.metadata.get("attempt", "").partition(":")
    attempt = find(AttemptRecord, tenant_id, AttemptRecord.sort_key(invoice_id, name))
    if attempt is None or attempt.status != AttemptRecord.STARTED:
        return None
    attempt.stripe_payment_intent_id = payment.id
    return attempt


_WORK: Final[dict[str, Callable[[Mode, str], str]]] = {
    "charge.dispute.created": _record_chargeback,
    "charge.refunded": _apply_refunds_of_charge,
    "payment_intent.payment_failed": _apply_payment,
    "payment_intent.succeeded": _apply_payment,
    "payment_method.detached": _forget_card,
    "refund.failed": _apply_refunds_of_refund,
    "refund.updated": _apply_refunds_of_refund,
    "setup_intent.succeeded": _save_card,
}
