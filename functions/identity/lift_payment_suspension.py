"""On billing.invoice_paid: lift the suspension for payment once the account is settled."""

from contracts.billing import InvoicePaid
from identity import suspensions
from kernel.triggers import subscriber


@subscriber
def handler(event: InvoicePaid) -> None:
    """Lift `payment`; other reasons stay."""
    suspensions.lift_for_payment(event)
