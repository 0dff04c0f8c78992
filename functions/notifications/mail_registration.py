"""On identity.registration_requested: mail the link, or that the address is known."""

from contracts.identity import RegistrationRequested
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: RegistrationRequested) -> None:
    mails.send(event)
