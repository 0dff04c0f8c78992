"""GET /v1/ledger-entries: list what was owed, paid and refunded, newest first."""

from billing import ledger
from billing.models import LedgerEntry
from kernel.gate import Access
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller


@endpoint("GET", "/v1/ledger-entries", permission="billing:read", access=Access.CURE)
def handler(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page[LedgerEntry]:
    """Return a page of the ledger."""
    return ledger.page(caller, limit=limit, cursor=cursor)
