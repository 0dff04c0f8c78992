"""On billing.payment_failed: mail the link to pay, and when the next attempt is."""

from contracts.billing import PaymentFailed
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: PaymentFailed) -> None:
    mails.send(event)
