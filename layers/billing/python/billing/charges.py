"""Charging an invoice's card, at most once at a time and once in all.

1. The intent is recorded: an attempt with its Stripe idempotency key; the invoice is `charging`.
2. The gate is asked whether outward effects are allowed.
3. Stripe is called.
4. What it says is applied in one transaction (`settlements`).

Whoever finds an invoice `charging` finishes that attempt first: it asks Stripe whether the charge
was made, and if not repeats it under the same key. So a crash at any point is mended by any
repetition, and two payers at once cause one charge.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from billing import alarms, settlements, stripe_gateway, tables
from billing.errors import (
    AccountNotReadyError,
    DiscrepancyError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    PaymentMethodMissingError,
    PaymentMethodNotFoundError,
    StripeUnavailableError,
)
from billing.stripe_client import mode_of
from billing.stripe_objects import ChargeOrder, Payment
from billing.tables import AccountRecord, AttemptRecord, InvoiceRecord, PaymentMethodRecord
from kernel import clock, gate
from kernel.errors import (
    RequestInFlightError,
    TenantSuspendedError,
    UnavailableError,
    VersionConflictError,
)
from kernel.gate import Access
from kernel.principals import Principal
from kernel.tables import find
from kernel.transactions import Transaction

_TRIES: Final = 4
_PATIENCE: Final = timedelta(seconds=60)
"""How long the attempt of another request is left alone: longer than its function can run."""

_KEY_LIFETIME: Final = timedelta(hours=23)
"""How long the same key surely charges once: Stripe keeps keys for at least 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Who wants which invoice charged, under which attempt's name, and how."""

    tenant_id: str
    invoice_id: str
    name: str
    actor: Principal
    payment_method_id: str | None = None
    remember: bool = False
    waits_for_others: bool = False

    @property
    def attempt_key(self) -> str:
        """Return the sort key of the attempt."""
        return AttemptRecord.sort_key(self.invoice_id, self.name)


def charge(wanted: Charge) -> AttemptRecord:
    """Charge an invoice and return the attempt, succeeded or failed.

    Raises InvoiceNotPayableError when it is paid, TenantSuspendedError when the tenant is
    suspended for more than payment, StripeUnavailableError while the outcome is unknown (repeat
    it), DiscrepancyError, and for requests PaymentMethodMissingError and RequestInFlightError.

    A charge that meets no other takes five reads (invoice and account, card, gate, and two of the
    settlement), one POST to Stripe and two transactions.
    """
    for _ in range(_TRIES):
        found = tables.fetch(
            wanted.tenant_id, AccountRecord.SORT_KEY, wanted.invoice_id, wanted.attempt_key
        )
        account = found.one(AccountRecord, AccountRecord.SORT_KEY)
        invoice = found.one(InvoiceRecord, wanted.invoice_id)
        attempt = found.one(AttemptRecord, wanted.attempt_key)
        if invoice is None:
            raise InvoiceNotFoundError
        if attempt is not None and attempt.is_over:
            return attempt
        if invoice.status == InvoiceRecord.PAID:
            raise InvoiceNotPayableError
        if invoice.status == InvoiceRecord.CHARGING:
            _finish_other(wanted, invoice)
            continue
        if account is None:
            raise AccountNotReadyError
        try:
            begun = _begin(wanted, account, invoice)
        except VersionConflictError:
            continue
        return begun if begun.is_over else _carry_out(wanted.tenant_id, begun, wanted.actor)
    raise UnavailableError("The invoice is being charged by others; repeat it.")


def finish(tenant_id: str, attempt: AttemptRecord, actor: Principal) -> AttemptRecord:
    """Bring an attempt that was begun to its end. One GET to Stripe, then at most one POST."""
    mode = mode_of(tenant_id)
    payment = stripe_gateway.find_payment(
        mode, attempt.stripe_customer_id, attempt.idempotency_key, attempt.started_at
    )
    if payment is not None:
        return _apply(tenant_id, attempt, payment, actor)
    if clock.wall() - attempt.started_at > _KEY_LIFETIME:
        message = "The payment provider could not be reached."
        return settlements.fail(tenant_id, attempt, "provider_unreachable", message, actor)
    return _carry_out(tenant_id, attempt, actor)


def is_recent(attempt: AttemptRecord) -> bool:
    """Tell whether whoever began an attempt may still be at it."""
    return bool(clock.wall() - attempt.started_at < _PATIENCE)


def _finish_other(wanted: Charge, invoice: InvoiceRecord) -> None:
    """Finish the attempt that an invoice is being charged by."""
    key = AttemptRecord.sort_key(invoice.sk, invoice.attempt)
    attempt = find(AttemptRecord, wanted.tenant_id, key)
    if attempt is None:
        raise LookupError(f"{invoice.sk} is being charged by an attempt that does not exist")
    if wanted.waits_for_others and is_recent(attempt):
        raise RequestInFlightError("The invoice is being charged; look again shortly.")
    finish(wanted.tenant_id, attempt, wanted.actor)


def _begin(wanted: Charge, account: AccountRecord, invoice: InvoiceRecord) -> AttemptRecord:
    """Record the intent to charge; without a card a scheduled attempt fails at once."""
    card = _card(wanted, account)
    attempt = AttemptRecord(
        wanted.tenant_id,
        wanted.attempt_key,
        invoice_id=invoice.sk,
        name=wanted.name,
        started_at=clock.wall(),
        amount=int(invoice.total),
        currency=invoice.currency,
        description=invoice.description,
        card=card.card if card else None,
        stripe_customer_id=account.stripe_customer_id,
        stripe_payment_method_id=card.stripe_payment_method_id if card else None,
    )
    if card is None:
        if attempt.scheduled is None:
            raise PaymentMethodMissingError
        message = "No card is saved."
        return settlements.fail(
            wanted.tenant_id, attempt, "payment_method_missing", message, wanted.actor
        )
    invoice.status, invoice.attempt = InvoiceRecord.CHARGING, attempt.name
    with Transaction(wanted.actor, wanted.tenant_id) as transaction:
        transaction.save(invoice)
        transaction.save(attempt)
        if wanted.remember:
            transaction.remember(attempt.idempotency_key, keep="always")
    return attempt


def _card(wanted: Charge, account: AccountRecord) -> PaymentMethodRecord | None:
    if wanted.payment_method_id is not None:
        card = find(PaymentMethodRecord, wanted.tenant_id, wanted.payment_method_id)
        if card is None:
            raise PaymentMethodNotFoundError
        return card
    if account.default_payment_method_id is None:
        return None
    return find(PaymentMethodRecord, wanted.tenant_id, account.default_payment_method_id)


def _carry_out(tenant_id: str, attempt: AttemptRecord, actor: Principal) -> AttemptRecord:
    """Ask the gate, then Stripe, and apply what it says."""
    order = ChargeOrder(
        idempotency_key=attempt.idempotency_key,
        amount=int(attempt.amount),
        currency=attempt.currency,
        customer_id=attempt.stripe_customer_id,
        payment_method_id=attempt.stripe_payment_method_id,
        description=attempt.description,
        metadata={
            "tenant_id": tenant_id,
            "invoice_id": attempt.invoice_id,
            "attempt": attempt.idempotency_key,
        },
    )
    try:
        gate.require_active(tenant_id, access=Access.CURE)
    except TenantSuspendedError:
        settlements.withdraw(tenant_id, attempt, actor)
        raise
    payment = stripe_gateway.charge(mode_of(tenant_id), order)
    return _apply(tenant_id, attempt, payment, actor)


def _apply(
    tenant_id: str, attempt: AttemptRecord, payment: Payment, actor: Principal
) -> AttemptRecord:
    attempt.stripe_payment_intent_id = payment.id
    if payment.status == "processing":
        raise StripeUnavailableError("The payment is still being processed.")
    if payment.status == "failed":
        return settlements.fail(
            tenant_id, attempt, payment.failure_code, payment.failure_message, actor
        )
    try:
        settlements.settle(tenant_id, payment, actor)
    except DiscrepancyError as error:
        alarms.record_discrepancy(actor, attempt.idempotency_key, str(error))
        raise
    attempt.status = AttemptRecord.SUCCEEDED
    return attempt
