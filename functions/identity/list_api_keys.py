"""GET /v1/api-keys: the tenant's API keys, newest first; members see their own."""

from identity import api_keys
from identity.models.api_keys import ApiKey
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller


@endpoint("GET", "/v1/api-keys", permission="api_keys:read")
def handler(caller: Caller, limit: Limit = 25, cursor: Cursor = None) -> Page[ApiKey]:
    """List keys without their secrets."""
    return api_keys.list_page(caller, limit, cursor)
