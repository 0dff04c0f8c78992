"""What an attempt to charge leads to: paid, failed or withdrawn, each in one transaction.

Whoever brings the news (the flow, the API, Stripe's webhook, a repetition of any of them), the
first one is applied and the others find it done. Stripe's record must agree with ours in tenant,
customer, invoice, amount and currency; where it does not, nothing is marked as paid.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pynamodb.expressions.condition import Condition

from billing import ledger, plans, subscriptions, tables
from billing.errors import DiscrepancyError
from billing.stripe_objects import Payment
from billing.tables import AccountRecord, AttemptRecord, InvoiceRecord
from contracts.billing import InvoicePaid, PaymentFailed
from kernel import clock
from kernel.errors import UnavailableError, VersionConflictError
from kernel.money import Money
from kernel.observability import count
from kernel.principals import Principal
from kernel.transactions import Transaction

T = TypeVar("T")

_TRIES: Final = 4
_LEAST_PAUSE: Final = timedelta(days=1)


def settle(tenant_id: str, payment: Payment, actor: Principal) -> InvoiceRecord:
    """Mark the invoice of a payment that succeeded as paid, and return it.

    Raises DiscrepancyError. Two reads and one transaction; a test tenant's clock is read before.
    """
    return retried(lambda: _settle(tenant_id, payment, actor))


def fail(
    tenant_id: str, attempt: AttemptRecord, code: str, message: str, actor: Principal
) -> AttemptRecord:
    """Note that an attempt failed, and return it as it is now; the invoice is open again.

    A scheduled attempt's failure is published, and sets the subscription back. Two reads and one
    transaction; a test tenant's clock is read before.
    """
    failure = {"code": code, "message": message}
    return retried(lambda: _fail(tenant_id, attempt, failure, actor))


def withdraw(tenant_id: str, attempt: AttemptRecord, actor: Principal) -> None:
    """Take back an attempt that Stripe has not seen; the invoice is open again.

    One read and one transaction.
    """
    retried(lambda: _withdraw(tenant_id, attempt, actor))


def _settle(tenant_id: str, payment: Payment, actor: Principal) -> InvoiceRecord:
    account, invoice, attempt = _read(tenant_id, payment)
    if _is_settled(invoice, payment):
        return invoice
    subscription = subscriptions.read(tenant_id, invoice.subscription_id)
    at = clock.tenant(tenant_id)
    open_before = account.open_invoices or set()
    open_after = open_before - {invoice.open_entry}
    owes_more = any(entry.startswith(f"{subscription.sk}#") for entry in open_after)
    subscriptions.pay_up(subscription, invoice, owes_more=owes_more)
    _mark_paid(invoice, attempt, payment, at)
    total = Money(amount=int(invoice.total), currency=invoice.currency)
    with Transaction(actor, tenant_id, at=at) as transaction:
        transaction.save(invoice)
        transaction.save(attempt)
        transaction.create(
            ledger.entry(
                tenant_id,
                "payment",
                total,
                invoice_id=invoice.sk,
                occurred_at=at,
                sorted_by=attempt.started_at,
                provider_id=payment.id,
            )
        )
        transaction.update(
            account,
            [AccountRecord.open_invoices.delete({invoice.open_entry})],
            condition=_is_still(open_before),
        )
        subscriptions.save_changed(transaction, subscription)
        transaction.emit(
            InvoicePaid(
                tenant_id=tenant_id,
                occurred_at=at,
                subject=invoice.sk,
                version=int(invoice.version) + 1,
                invoice_id=invoice.sk,
                total=total,
                description=invoice.description,
                card=attempt.card,
                settles_account=not open_after,
            ),
            changes={"status": invoice.status, "attempt": attempt.name},
        )
    count("PaymentSucceeded")
    return invoice


def _is_still(open_invoices: set[str]) -> Condition:
    """Require that no other invoice was opened or paid since the account was read."""
    if not open_invoices:
        return AccountRecord.open_invoices.does_not_exist()
    return AccountRecord.open_invoices == open_invoices


def _read(tenant_id: str, payment: Payment) -> tuple[AccountRecord, InvoiceRecord, AttemptRecord]:
    """Return what a payment is for, or raise how it contradicts our records."""
    invoice_id = payment.metadata.get("invoice_id", "")
    name = payment.metadata.get("attempt", "").removeprefix(f"{invoice_id}:")
    attempt_key = AttemptRecord.sort_key(invoice_id, name)
    found = tables.fetch(tenant_id, AccountRecord.SORT_KEY, invoice_id or "none", attempt_key)
    account = found.one(AccountRecord, AccountRecord.SORT_KEY)
    invoice = found.one(InvoiceRecord, invoice_id)
    attempt = found.one(AttemptRecord, attempt_key)
    if payment.metadata.get("tenant_id") != tenant_id:
        raise DiscrepancyError("The payment names another tenant")
    if account is None or invoice is None or attempt is None:
        raise DiscrepancyError("The tenant has no such invoice or attempt")
    if payment.customer_id != account.stripe_customer_id:
        raise DiscrepancyError("The payment is another customer's")
    if (payment.amount, payment.currency) != (int(invoice.total), invoice.currency):
        raise DiscrepancyError(
            f"{payment.amount} {payment.currency} were paid"
            f" for {int(invoice.total)} {invoice.currency}"
        )
    return account, invoice, attempt


def _is_settled(invoice: InvoiceRecord, payment: Payment) -> bool:
    if invoice.status != InvoiceRecord.PAID:
        return False
    if invoice.stripe_payment_intent_id != payment.id:
        raise DiscrepancyError("The invoice was paid twice")
    return True


def _mark_paid(
    invoice: InvoiceRecord, attempt: AttemptRecord, payment: Payment, at: datetime
) -> None:
    invoice.status, invoice.paid_at, invoice.card = InvoiceRecord.PAID, at, attempt.card
    invoice.stripe_payment_intent_id = payment.id
    invoice.attempt = invoice.next_attempt_at = invoice.failure = None
    attempt.status, attempt.stripe_payment_intent_id = AttemptRecord.SUCCEEDED, payment.id
    attempt.failure = None


def _fail(
    tenant_id: str, attempt: AttemptRecord, failure: dict[str, str], actor: Principal
) -> AttemptRecord:
    found = tables.fetch(tenant_id, attempt.invoice_id, attempt.sk)
    invoice = found.one(InvoiceRecord, attempt.invoice_id)
    stored = found.one(AttemptRecord, attempt.sk)
    if invoice is None or invoice.status == InvoiceRecord.PAID:
        return stored or attempt
    if stored is not None and stored.is_over:
        return stored
    attempt.status, attempt.failure = AttemptRecord.FAILED, failure
    at = clock.tenant(tenant_id)
    if invoice.attempt == attempt.name:
        invoice.status, invoice.attempt = InvoiceRecord.OPEN, None
    invoice.failure = failure
    with Transaction(actor, tenant_id, at=at) as transaction:
        if attempt.scheduled is None:
            transaction.note(
                "billing.payment_declined", invoice.sk, {"attempt": attempt.name} | failure
            )
        else:
            _fall_behind(transaction, invoice, attempt, attempt.scheduled)
        transaction.save(invoice)
        transaction.save(attempt)
    count("PaymentFailed")
    return attempt


def _fall_behind(
    transaction: Transaction, invoice: InvoiceRecord, attempt: AttemptRecord, number: int
) -> None:
    """Set the next attempt, or suspend after the last, and publish the failure."""
    delay = plans.catalogue().dunning.delay_before(number + 1)
    next_attempt_at = None
    if delay is not None:
        next_attempt_at = max(invoice.due_at + delay, transaction.at + _LEAST_PAUSE)
    invoice.next_attempt_at = next_attempt_at
    subscription = subscriptions.read(invoice.pk, invoice.subscription_id)
    before = subscription.status
    subscriptions.fall_behind(subscription, was_last_attempt=next_attempt_at is None)
    if subscription.status != before:
        subscriptions.save_changed(transaction, subscription)
    transaction.emit(
        PaymentFailed(
            tenant_id=invoice.pk,
            occurred_at=transaction.at,
            subject=invoice.sk,
            version=int(invoice.version) + 1,
            invoice_id=invoice.sk,
            total=Money(amount=int(invoice.total), currency=invoice.currency),
            attempt=number,
            reason=attempt.failure["message"],
            next_attempt_at=next_attempt_at,
        ),
        changes={"attempt": attempt.name, "code": attempt.failure["code"]},
    )


def _withdraw(tenant_id: str, attempt: AttemptRecord, actor: Principal) -> None:
    found = tables.fetch(tenant_id, attempt.invoice_id, attempt.sk)
    invoice = found.one(InvoiceRecord, attempt.invoice_id)
    stored = found.one(AttemptRecord, attempt.sk)
    if invoice is None or stored is None or stored.status != AttemptRecord.STARTED:
        return
    stored.status = AttemptRecord.WITHDRAWN
    invoice.status, invoice.attempt = InvoiceRecord.OPEN, None
    with Transaction(actor, tenant_id) as transaction:
        transaction.save(invoice)
        transaction.save(stored)


def retried(change: Callable[[], T]) -> T:
    """Do what reads and then changes, again where somebody else changed first."""
    for _ in range(_TRIES):
        try:
            return change()
        except VersionConflictError:
            continue
    raise UnavailableError("The invoice is being changed by others; repeat it.")
