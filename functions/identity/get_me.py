"""GET /v1/me: who calls, for which tenant, and what they may do."""

from identity import profiles
from identity.models.me import Me
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("GET", "/v1/me", access=Access.OPEN)
def handler(caller: Caller) -> Me:
    """Describe the caller."""
    return profiles.read(caller)
