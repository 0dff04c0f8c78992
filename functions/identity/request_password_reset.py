"""POST /v1/auth/request-password-reset: have a link mailed by which a new password can be set.

The answer is the same for every address.
"""

from identity import reset_requests
from identity.models.auth import AddressForm, MailPromised
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/auth/request-password-reset", status=202)
def handler(visitor: Visitor, body: AddressForm) -> MailPromised:
    """Mail a link, if the address has an account."""
    return reset_requests.request_reset(visitor, body)
