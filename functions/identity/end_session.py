"""DELETE /v1/sessions/{session_id}: end one of the caller's sessions at once."""

from identity import sessions
from identity.errors import SessionNotFoundError
from identity.models.paths import SessionPath
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "DELETE",
    "/v1/sessions/{session_id}",
    permission="sessions:write",
    status=204,
    access=Access.OPEN,
    errors=(SessionNotFoundError,),
)
def handler(caller: Caller, session_id: SessionPath) -> None:
    """End a session."""
    sessions.end_one(caller, session_id)
