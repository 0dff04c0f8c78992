"""The ledger: append-only, signed from the tenant's side of the debt.

    invoice   +total     the tenant owes the invoice
    payment   -amount    the tenant paid by card
    refund    +amount    money went back to the tenant
    credit    -amount    what was refunded is no longer owed

An invoice's entries sum to what is still owed for it: 0 once it is paid, also after refunds.
Each movement has one entry: its id is derived from the provider's id of the movement.
"""

from datetime import datetime
from typing import Literal

from billing import tables
from billing.models import LedgerEntry
from billing.tables import LedgerEntryRecord
from kernel.ids import derive_id
from kernel.money import Money
from kernel.pagination import Page
from kernel.principals import Caller
from kernel.tables import query_page

EntryType = Literal["invoice", "payment", "refund", "credit"]

_SIGNS: dict[EntryType, int] = {"invoice": 1, "payment": -1, "refund": 1, "credit": -1}


def entry(
    tenant_id: str,
    entry_type: EntryType,
    amount: Money,
    *,
    invoice_id: str,
    occurred_at: datetime,
    sorted_by: datetime,
    provider_id: str | None = None,
) -> LedgerEntryRecord:
    """Return the one entry of a movement of `amount` (unsigned), to be created.

    `sorted_by` is wall time and never changes for a movement: entries list in real order even
    where a test clock jumps.
    """
    if amount.amount < 0:
        raise ValueError("A movement's amount is unsigned; its type tells the direction")
    entry_id = derive_id("led", sorted_by, entry_type, provider_id or invoice_id)
    return LedgerEntryRecord(
        tenant_id,
        entry_id,
        type=entry_type,
        amount=_SIGNS[entry_type] * amount.amount,
        currency=amount.currency,
        invoice_id=invoice_id,
        occurred_at=occurred_at,
        provider_id=provider_id,
    )


def page(caller: Caller, *, limit: int, cursor: str | None) -> Page[LedgerEntry]:
    """Return a page of the tenant's entries, newest first. One query."""
    records, following = query_page(
        LedgerEntryRecord,
        caller.tenant_id,
        prefix=tables.LEDGER_ENTRIES,
        limit=limit,
        cursor=cursor,
    )
    return Page(data=[LedgerEntry.of(record) for record in records], next_cursor=following)


def balances(tenant_id: str) -> dict[str, Money]:
    """Return what is owed per invoice: the sum of its entries. One query."""
    sums: dict[str, Money] = {}
    for record in tables.all_of(LedgerEntryRecord, tenant_id, tables.LEDGER_ENTRIES):
        amount = Money(amount=int(record.amount), currency=record.currency)
        known = sums.get(record.invoice_id)
        sums[record.invoice_id] = known + amount if known else amount
    return sums


def balance(tenant_id: str) -> int:
    """Return what the tenant owes in all, in minor units. One query."""
    return sum(owed.amount for owed in balances(tenant_id).values())
