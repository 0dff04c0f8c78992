"""GET /v1/staff/tenants: the tenants in a status, oldest first; the look is audited."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from identity import staff_tenants
from identity.models.forms import TenantStatus
from identity.models.staff import InspectedTenant
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Staff


@endpoint("GET", "/v1/staff/tenants")
def handler(
    staff: Staff,
    status: Annotated[TenantStatus, Query(description="`active` by default.")] = "active",
    limit: Limit = 25,
    cursor: Cursor = None,
) -> Page[InspectedTenant]:
    """List tenants."""
    return staff_tenants.list_page(staff, status, limit, cursor)
