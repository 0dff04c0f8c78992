"""On identity.password_reset_requested: mail the link to a new password."""

from contracts.identity import PasswordResetRequested
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: PasswordResetRequested) -> None:
    mails.send(event)
