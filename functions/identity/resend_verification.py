"""POST /v1/auth/resend-verification: have a fresh link mailed for a pending registration.

The answer is the same for every address.
"""

from identity import verifications
from identity.models.auth import AddressForm, MailPromised
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/auth/resend-verification", status=202)
def handler(visitor: Visitor, body: AddressForm) -> MailPromised:
    """Replace the link of the address's newest registration."""
    return verifications.resend(visitor, body)
