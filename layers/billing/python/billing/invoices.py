"""Invoices: one per period of a subscription, and what the API shows of them."""

from datetime import datetime

from billing import ledger, tables
from billing.errors import InvoiceNotFoundError
from billing.models import Invoice
from billing.periods import Period
from billing.tables import AccountRecord, InvoiceRecord, SubscriptionRecord
from kernel import clock
from kernel.errors import ConflictError, VersionConflictError
from kernel.ids import derive_id
from kernel.money import Money
from kernel.pagination import Page
from kernel.principals import Caller, System
from kernel.tables import find, query_page
from kernel.transactions import Transaction


class _FinalisedError(ConflictError):
    """The period's invoice exists."""


def id_of(tenant_id: str, product: str, period_starts_at: datetime) -> str:
    """Return the one id of a period's invoice: no period can be billed twice."""
    return derive_id("inv", period_starts_at, tenant_id, product)


def finalise(subscription: SubscriptionRecord, period: Period, currency: str, actor: System) -> str:
    """Create a period's invoice and its debt, once, and return its id.

    One transaction, which requires the subscription to be as it was read; a test tenant's clock is
    read before.
    """
    tenant_id = subscription.pk
    invoice_id = id_of(tenant_id, subscription.product, period.starts_at)
    now = clock.tenant(tenant_id)
    invoice = InvoiceRecord(
        tenant_id,
        invoice_id,
        subscription_id=subscription.sk,
        currency=currency,
        total=period.total,
        lines=[{"description": line.description, "amount": line.amount} for line in period.lines],
        period_starts_at=period.starts_at,
        period_ends_at=period.ends_at,
        finalised_at=now,
        due_at=period.starts_at,
        next_attempt_at=period.starts_at,
    )
    total = Money(amount=period.total, currency=currency)
    debt = ledger.entry(
        tenant_id,
        "invoice",
        total,
        invoice_id=invoice_id,
        occurred_at=now,
        sorted_by=clock.wall(),
    )
    account = AccountRecord(tenant_id, AccountRecord.SORT_KEY)
    unchanged = SubscriptionRecord.version == subscription.version
    try:
        with Transaction(actor, tenant_id, at=now) as transaction:
            transaction.create(invoice, conflict=_FinalisedError())
            transaction.create(debt)
            transaction.update(
                account,
                [AccountRecord.open_invoices.add({invoice.open_entry})],
                condition=AccountRecord.pk.exists(),
            )
            transaction.check(subscription, unchanged, conflict=VersionConflictError())
            transaction.note("billing.invoice_finalised", invoice_id, {"total": period.total})
    except _FinalisedError:
        pass
    return invoice_id


def page(caller: Caller, *, limit: int, cursor: str | None) -> Page[Invoice]:
    """Return a page of the tenant's invoices, latest period first. One query."""
    records, following = query_page(
        InvoiceRecord, caller.tenant_id, prefix=tables.INVOICES, limit=limit, cursor=cursor
    )
    return Page(data=[Invoice.of(record) for record in records], next_cursor=following)


def get(caller: Caller, invoice_id: str) -> Invoice:
    """Return an invoice of the tenant. One read."""
    return Invoice.of(read(caller.tenant_id, invoice_id))


def read(tenant_id: str, invoice_id: str) -> InvoiceRecord:
    """Return an invoice's record; raises InvoiceNotFoundError."""
    record = find(InvoiceRecord, tenant_id, invoice_id)
    if record is None:
        raise InvoiceNotFoundError
    return record
