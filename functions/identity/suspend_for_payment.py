"""On billing.subscription_changed: suspend the tenant whose subscription is suspended."""

from contracts.billing import SubscriptionChanged
from identity import suspensions
from kernel.triggers import subscriber


@subscriber
def handler(event: SubscriptionChanged) -> None:
    """Suspend for `payment`."""
    suspensions.suspend_for_payment(event)
