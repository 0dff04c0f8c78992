"""GET /v1/tenant: the caller's tenant."""

from identity import tenants
from identity.models.tenants import Tenant
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("GET", "/v1/tenant", permission="tenant:read")
def handler(caller: Caller) -> Tenant:
    """Describe the tenant."""
    return tenants.read(caller)
