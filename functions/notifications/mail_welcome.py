"""On identity.tenant_registered: mail the welcome."""

from contracts.identity import TenantRegistered
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: TenantRegistered) -> None:
    mails.send(event)
