"""POST /v1/staff/tenants/{tenant_id}/suspend: close a tenant's gate for a reason."""

from identity import staff_tenants
from identity.errors import TenantNotFoundError
from identity.models.paths import TenantPath
from identity.models.staff import InspectedTenant, SuspendTenant
from kernel.errors import VersionConflictError
from kernel.http import endpoint
from kernel.principals import Staff


@endpoint(
    "POST",
    "/v1/staff/tenants/{tenant_id}/suspend",
    errors=(TenantNotFoundError, VersionConflictError),
)
def handler(
    staff: Staff,
    tenant_id: TenantPath,
    body: SuspendTenant,
) -> InspectedTenant:
    """Suspend a tenant; reasons that hold already stay."""
    return staff_tenants.suspend(staff, tenant_id, body)
