"""On billing.invoice_paid: mail the receipt."""

from contracts.billing import InvoicePaid
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: InvoicePaid) -> None:
    mails.send(event)
