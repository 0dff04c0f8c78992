"""Charging on schedule, and ending the waits between attempts when an invoice is paid."""

from datetime import timedelta
from typing import Final

from billing import plans
from billing.errors import InvoiceNotPayableError
from billing.steps import ChargeInvoice, InvoiceCharged
from billing.tables import AttemptRecord
from contracts.billing import InvoicePaid
from kernel import clock, timers
from kernel.errors import TenantSuspendedError
from kernel.principals import System

_ACTOR: Final = System(name="billing/charge_invoice")
_PARKED_FOR: Final = timedelta(hours=6)


def charge_on_schedule(order: ChargeInvoice) -> InvoiceCharged:
    """Make one scheduled attempt; an attempt that was made before is only reported.

    What `charges.charge` takes; a failure reads the invoice once more.
    """
    from billing import charges, invoices

    wanted = charges.Charge(
        tenant_id=order.tenant_id,
        invoice_id=order.invoice_id,
        name=str(order.attempt),
        actor=_ACTOR,
    )
    try:
        attempt = charges.charge(wanted)
    except InvoiceNotPayableError:
        return InvoiceCharged(outcome="paid")
    except TenantSuspendedError:
        resume_at = clock.tenant(order.tenant_id) + _PARKED_FOR
        return InvoiceCharged(outcome="parked", resume_at=resume_at)
    if attempt.status == AttemptRecord.SUCCEEDED:
        return InvoiceCharged(outcome="paid")
    invoice = invoices.read(order.tenant_id, order.invoice_id)
    if plans.catalogue().dunning.delay_before(order.attempt + 1) is None:
        return InvoiceCharged(outcome="failed")
    return InvoiceCharged(outcome="failed", next_attempt_at=invoice.next_attempt_at)


def end_waits(event: InvoicePaid) -> None:
    """Let a flow that waits for the next attempt see at once that there is nothing to charge."""
    timers.signal(event.tenant_id, event.invoice_id, "paid")
