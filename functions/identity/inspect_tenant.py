"""GET /v1/staff/tenants/{tenant_id}: a tenant with its members; its audit log shows the look."""

from identity import staff_tenants
from identity.errors import TenantNotFoundError
from identity.models.paths import TenantPath
from identity.models.staff import TenantFile
from kernel.http import endpoint
from kernel.principals import Staff


@endpoint("GET", "/v1/staff/tenants/{tenant_id}", errors=(TenantNotFoundError,))
def handler(
    staff: Staff,
    tenant_id: TenantPath,
) -> TenantFile:
    """Describe a tenant."""
    return staff_tenants.read(staff, tenant_id)
