"""Asking for a new password: a link is mailed, if the address has an owner."""

from contracts.events import PLATFORM
from contracts.identity import PasswordResetRequested
from identity import accounts, links
from identity.addresses import digest
from identity.links import Purpose
from identity.models.auth import AddressForm, MailPromised
from kernel.principals import Visitor
from kernel.transactions import Transaction


def request_reset(visitor: Visitor, body: AddressForm) -> MailPromised:
    """Have a link mailed to the owner of an address, if it has one.

    One query, one transaction of two writes, whatever is found.
    """
    address_digest = digest(body.email)
    owner, _ = accounts.find_address(address_digest)
    link = links.make(
        Purpose.RESET if owner else Purpose.NOTHING,
        subject=owner.user_id if owner else accounts.NOBODY,
        address_digest=address_digest,
    )
    with Transaction(visitor) as transaction:
        transaction.create(link.record)
        if owner is None:
            transaction.note(PasswordResetRequested.type, link.record.subject)
        else:
            event = PasswordResetRequested(
                tenant_id=PLATFORM,
                occurred_at=transaction.at,
                subject=owner.user_id,
                user_id=owner.user_id,
                email=body.email,
                sealed_token=link.sealed_secret,
            )
            transaction.emit(event)
    return links.promise(body.email, Purpose.RESET)
