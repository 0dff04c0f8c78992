"""On identity.tenant_registered: remember whom the tenant's mail goes to."""

from contracts.identity import TenantRegistered
from kernel.triggers import subscriber
from notifications import contacts


@subscriber
def handler(event: TenantRegistered) -> None:
    contacts.remember(event)
