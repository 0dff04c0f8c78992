"""POST /v1/auth/login: sign in with address, password and, where enabled, a second factor."""

from identity import logins
from identity.errors import (
    InvalidCredentialsError,
    InvalidSecondFactorError,
    NoMembershipError,
    SignInLockedError,
    TotpRequiredError,
)
from identity.models.auth import LoggedIn, LogIn
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint(
    "POST",
    "/v1/auth/login",
    errors=(
        InvalidCredentialsError,
        TotpRequiredError,
        InvalidSecondFactorError,
        NoMembershipError,
        SignInLockedError,
    ),
)
def handler(visitor: Visitor, body: LogIn) -> LoggedIn:
    """Open a session."""
    return logins.log_in(visitor, body)
