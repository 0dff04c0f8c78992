"""Stripe's webhooks: verify and store an event, answer at once."""

from billing import stripe_webhooks
from kernel.inbound import Delivery, webhook


@webhook("stripe")
def handler(delivery: Delivery) -> None:
    """Receive one event."""
    stripe_webhooks.receive(delivery)
