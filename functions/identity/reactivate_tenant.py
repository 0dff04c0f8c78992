"""POST /v1/staff/tenants/{tenant_id}/reactivate: lift one reason of a suspension."""

from identity import staff_tenants
from identity.errors import NotSuspendedError, TenantNotFoundError
from identity.models.paths import TenantPath
from identity.models.staff import InspectedTenant, ReactivateTenant
from kernel.errors import VersionConflictError
from kernel.http import endpoint
from kernel.principals import Staff


@endpoint(
    "POST",
    "/v1/staff/tenants/{tenant_id}/reactivate",
    errors=(TenantNotFoundError, NotSuspendedError, VersionConflictError),
)
def handler(
    staff: Staff,
    tenant_id: TenantPath,
    body: ReactivateTenant,
) -> InspectedTenant:
    """Lift a reason; the tenant works again once none is left."""
    return staff_tenants.reactivate(staff, tenant_id, body)
