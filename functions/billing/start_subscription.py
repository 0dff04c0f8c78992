"""On identity.tenant_registered: give the tenant a Stripe customer, a subscription, a trial."""

from billing import subscriptions
from contracts.identity import TenantRegistered
from kernel.triggers import subscriber


@subscriber
def handler(event: TenantRegistered) -> None:
    """Start the subscription of a new tenant."""
    subscriptions.start(event)
