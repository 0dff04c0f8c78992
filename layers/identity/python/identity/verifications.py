"""Proving an address: the link of a registration, followed or mailed once more."""

from typing import Final

from contracts.events import PLATFORM
from contracts.identity import RegistrationRequested
from identity import accounts, founding, links
from identity.addresses import digest
from identity.errors import LinkInvalidError
from identity.founding import Foundation
from identity.link_tables import RegistrationRecord
from identity.links import Link, Purpose
from identity.models.auth import AddressForm, EmailVerified, MailPromised, VerifyEmail
from identity.tables import is_over
from kernel import clock
from kernel.authentication import hash_secret
from kernel.ids import new_id, new_tenant_id
from kernel.principals import Visitor
from kernel.tables import find
from kernel.transactions import CHANGED, Transaction

_DECOY: Final = "DECOY"
"""The sort key of what is written where no registration is pending, so that all costs the same."""


def resend(visitor: Visitor, body: AddressForm) -> MailPromised:
    """Have a fresh link mailed for the newest registration of an address, if there is one.

    Two queries, one transaction of three writes, whatever is found. Older links die.
    """
    address_digest = digest(body.email)
    owner, _ = accounts.find_address(address_digest)
    found = RegistrationRecord.newest_of(address_digest)
    pending = found if found and not is_over(found.expires_at, clock.wall()) else None
    subject = pending.registration_id if pending else new_id("reg")
    link = links.make(Purpose.VERIFICATION, subject=subject, address_digest=address_digest)
    keys = RegistrationRecord.keys(address_digest, subject)
    target = RegistrationRecord(*keys) if pending else RegistrationRecord(keys[0], _DECOY)
    with Transaction(visitor) as transaction:
        transaction.update(
            target,
            [
                RegistrationRecord.link_hash.set(link.secret_hash),
                RegistrationRecord.expires_at.set(link.record.expires_at),
            ],
            condition=RegistrationRecord.registration_id.exists() if pending else None,
        )
        if pending or owner:
            company_name = pending.company_name if pending else ""
            have_mailed(transaction, link, body.email, company_name, known=owner is not None)
        else:
            transaction.create(link.record)
            transaction.note("identity.registration_requested", subject)
    return links.promise(body.email, Purpose.VERIFICATION)


def verify(visitor: Visitor, body: VerifyEmail) -> EmailVerified:
    """Make tenant and owner of a registration. Two reads, one transaction of eight writes.

    A test tenant takes a ninth, for its clock. Raises LinkInvalidError, and AddressTakenError when
    another registration was verified first.
    """
    link = links.follow(body.token, Purpose.VERIFICATION)
    keys = RegistrationRecord.keys(link.address_digest, link.subject)
    registration = find(RegistrationRecord, *keys)
    if registration is None or registration.link_hash != hash_secret(body.token):
        raise LinkInvalidError
    foundation = Foundation(
        tenant_id=new_tenant_id(registration.mode),
        company_name=registration.company_name,
        mode=registration.mode,
        plan=registration.plan,
        email=registration.email,
        password_hash=registration.password_hash,
    )
    with Transaction(visitor, foundation.tenant_id) as transaction:
        links.use_up(transaction, link)
        transaction.delete(
            registration,
            condition=RegistrationRecord.link_hash == registration.link_hash,
            conflict=LinkInvalidError(),
        )
        owner_id = founding.found(transaction, foundation)
    return EmailVerified(tenant_id=foundation.tenant_id, user_id=owner_id, email=foundation.email)


def have_mailed(
    transaction: Transaction, link: Link, email: str, company_name: str, *, known: bool
) -> None:
    """Add the link and the event that has it mailed; to a known address the event has none."""
    transaction.create(link.record)
    event = RegistrationRequested(
        tenant_id=PLATFORM,
        occurred_at=transaction.at,
        subject=link.record.subject,
        email=email,
        company_name=company_name,
        sealed_token=None if known else link.sealed_secret,
    )
    transaction.emit(event, {"email": CHANGED})
