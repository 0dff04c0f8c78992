"""On billing.subscription_changed: write what the subscription allows into the tenant's gate."""

from contracts.billing import SubscriptionChanged
from identity import entitlements
from kernel.triggers import subscriber


@subscriber
def handler(event: SubscriptionChanged) -> None:
    """Apply the newest entitlements; older ones are dropped."""
    entitlements.apply(event)
