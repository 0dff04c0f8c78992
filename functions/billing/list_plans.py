"""GET /v1/plans: list the plans that can be registered for, with prices and limits."""

from billing import plans
from billing.models import Plan
from kernel.http import endpoint
from kernel.pagination import Page
from kernel.principals import Visitor


@endpoint("GET", "/v1/plans", limited=False)
def handler(_visitor: Visitor) -> Page[Plan]:
    """Return the plan catalogue."""
    return Page(data=[Plan.of(terms) for terms in plans.catalogue().plans.values()])
