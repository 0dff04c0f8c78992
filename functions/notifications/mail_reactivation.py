"""On identity.tenant_reactivated: tell the tenant what works again."""

from contracts.identity import TenantReactivated
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: TenantReactivated) -> None:
    mails.send(event)
