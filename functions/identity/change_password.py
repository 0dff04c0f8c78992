"""POST /v1/me/password: change the password; all other sessions end."""

from identity import password_changes
from identity.errors import PasswordWrongError, SignInLockedError, WeakPasswordError
from identity.models.me import ChangePassword
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/me/password",
    permission="sessions:write",
    status=204,
    access=Access.OPEN,
    errors=(PasswordWrongError, WeakPasswordError, SignInLockedError),
)
def handler(caller: Caller, body: ChangePassword) -> None:
    """Replace the user's password."""
    password_changes.change(caller, body)
