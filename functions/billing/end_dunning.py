"""On billing.invoice_paid: end the waits for further attempts to charge the invoice."""

from billing import dunning
from contracts.billing import InvoicePaid
from kernel.triggers import subscriber


@subscriber
def handler(event: InvoicePaid) -> None:
    """End the waits of a paid invoice."""
    dunning.end_waits(event)
