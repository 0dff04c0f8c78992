"""PATCH /v1/me: change the calling user's name."""

from identity import profiles
from identity.models.me import Me, UpdateMe
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("PATCH", "/v1/me", permission="sessions:write", access=Access.OPEN)
def handler(caller: Caller, body: UpdateMe) -> Me:
    """Rename the user."""
    return profiles.update(caller, body)
