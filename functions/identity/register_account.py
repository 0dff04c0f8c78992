"""POST /v1/auth/register: ask for an account; a link to verify the address is mailed.

The answer is the same for every address. Whoever has an account already is told so by mail.
"""

from identity import registrations
from identity.errors import WeakPasswordError
from identity.models.auth import MailPromised, RegisterAccount
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/auth/register", status=202, errors=(WeakPasswordError,))
def handler(visitor: Visitor, body: RegisterAccount) -> MailPromised:
    """Keep the registration until its address is verified."""
    return registrations.register(visitor, body)
