"""GET /v1/invoices: list the tenant's invoices, latest period first."""

from billing import invoices
from billing.models import Invoice
from kernel.gate import Access
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller


@endpoint("GET", "/v1/invoices", permission="billing:read", access=Access.CURE)
def handler(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page[Invoice]:
    """Return a page of invoices."""
    return invoices.page(caller, limit=limit, cursor=cursor)
