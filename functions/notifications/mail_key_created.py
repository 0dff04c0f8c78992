"""On identity.api_key_created: tell whoever it was created by."""

from contracts.identity import ApiKeyCreated
from kernel.triggers import subscriber
from notifications import mails


@subscriber
def handler(event: ApiKeyCreated) -> None:
    mails.send(event)
