"""On identity.tenant_suspended: tell the tenant why, and what to do."""

from contracts.identity import TenantSuspended
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: TenantSuspended) -> None:
    mails.send(event)
