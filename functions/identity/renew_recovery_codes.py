"""POST /v1/me/totp/recovery-codes: replace all recovery codes; needs the password and a code."""

from identity import two_step
from identity.errors import (
    CodeWrongError,
    PasswordWrongError,
    SignInLockedError,
    TotpNotEnabledError,
)
from identity.models.me import ConfirmIdentity, RecoveryCodes
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/me/totp/recovery-codes",
    permission="sessions:write",
    access=Access.OPEN,
    errors=(PasswordWrongError, CodeWrongError, TotpNotEnabledError, SignInLockedError),
)
def handler(caller: Caller, body: ConfirmIdentity) -> RecoveryCodes:
    """Make new recovery codes; the old ones die."""
    return two_step.renew_recovery_codes(caller, body)
