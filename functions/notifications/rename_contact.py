"""On identity.tenant_updated: remember the tenant's new name."""

from contracts.identity import TenantUpdated
from kernel.triggers import subscriber
from notifications import contacts


@subscriber
def handler(event: TenantUpdated) -> None:
    contacts.rename(event)
