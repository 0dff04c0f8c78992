"""POST /v1/auth/verify-email: open the account whose address the mailed link proves."""

from identity import verifications
from identity.errors import AddressTakenError, LinkInvalidError
from identity.models.auth import EmailVerified, VerifyEmail
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/auth/verify-email", errors=(LinkInvalidError, AddressTakenError))
def handler(visitor: Visitor, body: VerifyEmail) -> EmailVerified:
    """Make tenant and owner of the registration."""
    return verifications.verify(visitor, body)
