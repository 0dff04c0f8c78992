"""On identity.tenant_reactivated: send what was withheld while the tenant was suspended."""

from contracts.identity import TenantReactivated
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: TenantReactivated) -> None:
    mails.release(event.tenant_id)
