"""GET /v1/subscriptions/{id}: show a subscription: its plan, trial, paid period and limits."""

from billing import subscriptions
from billing.errors import SubscriptionNotFoundError
from billing.models import Subscription, SubscriptionPath
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "GET",
    "/v1/subscriptions/{subscription_id}",
    permission="billing:read",
    access=Access.CURE,
    errors=(SubscriptionNotFoundError,),
)
def handler(caller: Caller, subscription_id: SubscriptionPath) -> Subscription:
    """Return one subscription."""
    return subscriptions.get(caller, subscription_id)
