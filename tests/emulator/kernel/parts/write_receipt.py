"""Subscriber: a slow one, which writes down what time it is for the tenant."""

import time

from contracts.events import Event
from kernel import clock
from kernel.principals import System
from kernel.tables import JournalTable
from kernel.transactions import Transaction
from kernel.triggers import subscriber


class MonthCharged(Event, type="parts.month_charged"):
    number: int


class ReceiptRecord(JournalTable, discriminator="receipt"):
    pass


@subscriber
def handler(event: MonthCharged) -> None:
    if event.subject.startswith("broken"):
        raise RuntimeError("This subscriber is broken")
    time.sleep(0.05)
    with Transaction(System(name="parts/write_receipt"), event.tenant_id) as transaction:
        now = clock.tenant(event.tenant_id)
        key = f"{event.subject}#{event.number:02}#{now:%Y-%m-%d}"
        transaction.save(ReceiptRecord(f"{event.tenant_id}#RECEIPTS", key))
