"""GET /v1/payment-methods: list the tenant's saved cards, newest first."""

from billing import payment_methods
from billing.models import PaymentMethod
from kernel.gate import Access
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller


@endpoint("GET", "/v1/payment-methods", permission="billing:read", access=Access.CURE)
def handler(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page[PaymentMethod]:
    """Return a page of cards."""
    return payment_methods.page(caller, limit=limit, cursor=cursor)
