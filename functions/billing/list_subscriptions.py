"""GET /v1/subscriptions: list the tenant's subscriptions, newest first."""

from billing import subscriptions
from billing.models import Subscription
from kernel.gate import Access
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller


@endpoint("GET", "/v1/subscriptions", permission="billing:read", access=Access.CURE)
def handler(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page[Subscription]:
    """Return a page of subscriptions."""
    return subscriptions.page(caller, limit=limit, cursor=cursor)
