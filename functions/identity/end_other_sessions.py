"""DELETE /v1/sessions: end all of the caller's sessions but the present one."""

from identity import sessions
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("DELETE", "/v1/sessions", permission="sessions:write", status=204, access=Access.OPEN)
def handler(caller: Caller) -> None:
    """End the other sessions."""
    sessions.end_others(caller)
