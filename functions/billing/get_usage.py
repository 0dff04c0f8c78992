"""GET /v1/usage: show how many of the plan's API-key calls are used this month."""

from billing import usage
from billing.models import UsageSummary
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("GET", "/v1/usage", permission="usage:read", access=Access.CURE)
def handler(caller: Caller) -> UsageSummary:
    """Return the present month's usage."""
    return usage.summarise(caller)
