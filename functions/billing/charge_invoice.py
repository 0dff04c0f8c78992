"""Step of flows: make one scheduled attempt to charge an invoice's card."""

from billing import dunning
from billing.steps import ChargeInvoice, InvoiceCharged
from kernel.triggers import step


@step
def handler(order: ChargeInvoice) -> InvoiceCharged:
    """Make one attempt."""
    return dunning.charge_on_schedule(order)
