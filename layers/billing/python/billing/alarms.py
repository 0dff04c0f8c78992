"""What staff must see: an error line and a count that an alarm watches."""

from typing import Any, Literal

from contracts.events import PLATFORM
from kernel.observability import count, logger
from kernel.principals import Principal
from kernel.transactions import Transaction

Alarm = Literal["StripeDiscrepancy", "StripeMisconfigured", "ChargebackOpened"]


def sound(alarm: Alarm, message: str, **details: Any) -> None:
    """Log an error and count it in the metric of the alarm's name."""
    logger.error(message, alarm=alarm, **details)
    count(alarm)


def record_discrepancy(actor: Principal, subject: str, message: str) -> None:
    """Keep in the platform's audit log that Stripe's record contradicts ours. One transaction."""
    sound("StripeDiscrepancy", message, subject=subject)
    with Transaction(actor, PLATFORM) as transaction:
        transaction.note("billing.discrepancy", subject, {"message": message})
