"""POST /v1/me/totp/confirm: enable the second factor by a first code; shows recovery codes."""

from identity import two_step
from identity.errors import CodeWrongError, TotpNotEnabledError
from identity.models.me import ConfirmTotp, RecoveryCodes
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/me/totp/confirm",
    permission="sessions:write",
    access=Access.OPEN,
    errors=(CodeWrongError, TotpNotEnabledError),
)
def handler(caller: Caller, body: ConfirmTotp) -> RecoveryCodes:
    """Enable the second factor."""
    return two_step.enable(caller, body)
