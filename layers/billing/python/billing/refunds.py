"""Refunds of invoices' payments, which staff make at Stripe."""

from datetime import timedelta
from typing import Final

from billing import invoices, ledger, settlements
from billing.errors import DiscrepancyError
from billing.stripe_objects import Refund
from billing.tables import LedgerEntryRecord
from kernel import clock
from kernel.errors import ConflictError
from kernel.money import Money
from kernel.principals import Principal
from kernel.tables import find
from kernel.transactions import Transaction

_WHOLE_SECOND: Final = timedelta(milliseconds=999)
"""Stripe's times are whole seconds; a refund sorts after the payment of the same second."""


class _RecordedError(ConflictError):
    """The refund was recorded before."""


def record(tenant_id: str, invoice_id: str, refund: Refund, actor: Principal) -> bool:
    """Record a refund that has gone through, once: money went back, and the debt with it.

    False if there is nothing to record. One read and one transaction; a test tenant's clock is
    read before. Raises DiscrepancyError for one that failed after it had gone through.
    """
    if refund.status == "succeeded":
        return settlements.retried(lambda: _record(tenant_id, invoice_id, refund, actor))
    if refund.status in {"failed", "canceled"}:
        entry, _ = _entries(tenant_id, invoice_id, refund)
        if find(LedgerEntryRecord, tenant_id, entry.sk) is not None:
            raise DiscrepancyError(f"The refund {refund.id} failed after it had gone through")
    return False


def _record(tenant_id: str, invoice_id: str, refund: Refund, actor: Principal) -> bool:
    invoice = invoices.read(tenant_id, invoice_id)
    invoice.refunded = int(invoice.refunded) + refund.amount
    returned, credited = _entries(tenant_id, invoice_id, refund)
    try:
        with Transaction(actor, tenant_id, at=returned.occurred_at) as transaction:
            transaction.create(returned, conflict=_RecordedError())
            transaction.create(credited)
            transaction.save(invoice)
            transaction.note(
                "billing.refund_recorded", invoice_id, {"refunded": int(invoice.refunded)}
            )
    except _RecordedError:
        return False
    return True


def _entries(
    tenant_id: str, invoice_id: str, refund: Refund
) -> tuple[LedgerEntryRecord, LedgerEntryRecord]:
    """Return a refund's two entries: the money, and the debt that is no more."""
    now = clock.tenant(tenant_id)

    def entry(entry_type: ledger.EntryType) -> LedgerEntryRecord:
        return ledger.entry(
            tenant_id,
            entry_type,
            Money(amount=refund.amount, currency=refund.currency),
            invoice_id=invoice_id,
            occurred_at=now,
            sorted_by=refund.created_at + _WHOLE_SECOND,
            provider_id=refund.id,
        )

    return entry("refund"), entry("credit")
