"""On identity.password_changed: tell the account's owner."""

from contracts.identity import PasswordChanged
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: PasswordChanged) -> None:
    mails.send(event)
