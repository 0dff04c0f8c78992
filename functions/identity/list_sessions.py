"""GET /v1/sessions: the caller's own sessions, the last refreshed first; never more than twenty."""

from identity import sessions
from identity.models.records import Session
from kernel.gate import Access
from kernel.http import endpoint
from kernel.pagination import Page
from kernel.principals import Caller


@endpoint("GET", "/v1/sessions", permission="sessions:read", access=Access.OPEN)
def handler(caller: Caller) -> Page[Session]:
    """List the caller's sessions."""
    return sessions.list_own(caller)
