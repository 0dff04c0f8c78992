"""On billing.stripe_webhook_received: apply what Stripe tells of cards, payments and refunds."""

from billing import stripe_events
from contracts.billing import StripeWebhookReceived
from kernel.triggers import subscriber


@subscriber
def handler(event: StripeWebhookReceived) -> None:
    """Work on one stored event."""
    stripe_events.process(event)
