"""PATCH /v1/tenant: rename the caller's tenant, if nobody changed it since `version`."""

from identity import tenants
from identity.models.tenants import Tenant, UpdateTenant
from kernel.errors import VersionConflictError
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("PATCH", "/v1/tenant", permission="tenant:write", errors=(VersionConflictError,))
def handler(caller: Caller, body: UpdateTenant) -> Tenant:
    """Change the tenant's own data."""
    return tenants.update(caller, body)
