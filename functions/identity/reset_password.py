"""POST /v1/auth/reset-password: set a new password by a mailed link; all sessions end."""

from identity import password_changes
from identity.errors import LinkInvalidError, WeakPasswordError
from identity.models.auth import ResetPassword
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint(
    "POST",
    "/v1/auth/reset-password",
    status=204,
    errors=(LinkInvalidError, WeakPasswordError),
)
def handler(visitor: Visitor, body: ResetPassword) -> None:
    """Replace a forgotten password."""
    password_changes.reset(visitor, body)
