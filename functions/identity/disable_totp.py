"""DELETE /v1/me/totp: remove the second factor; needs the password and a code."""

from identity import two_step
from identity.errors import (
    CodeWrongError,
    PasswordWrongError,
    SignInLockedError,
    TotpNotEnabledError,
)
from identity.models.me import ConfirmIdentity
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "DELETE",
    "/v1/me/totp",
    permission="sessions:write",
    status=204,
    access=Access.OPEN,
    errors=(PasswordWrongError, CodeWrongError, TotpNotEnabledError, SignInLockedError),
)
def handler(caller: Caller, body: ConfirmIdentity) -> None:
    """Disable the second factor."""
    two_step.disable(caller, body)
