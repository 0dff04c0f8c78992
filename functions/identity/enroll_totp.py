"""POST /v1/me/totp: get a secret for an authenticator; it counts once it is confirmed."""

from identity import two_step
from identity.errors import PasswordWrongError, SignInLockedError, TotpAlreadyEnabledError
from identity.models.me import EnrolTotp, TotpEnrolment
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/me/totp",
    permission="sessions:write",
    status=201,
    access=Access.OPEN,
    errors=(PasswordWrongError, TotpAlreadyEnabledError, SignInLockedError),
)
def handler(caller: Caller, body: EnrolTotp) -> TotpEnrolment:
    """Begin to enrol a second factor."""
    return two_step.enrol(caller, body)
