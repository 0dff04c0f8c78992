"""POST /v1/auth/logout: end the present session at once."""

from identity import sessions
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("POST", "/v1/auth/logout", permission="sessions:write", status=204, access=Access.OPEN)
def handler(caller: Caller) -> None:
    """End the caller's session."""
    sessions.log_out(caller)
