"""Registering: a form, a mail, and only then a tenant (decision 2).

The same happens for known and unknown addresses: one query, one hash, one transaction of the same
writes. The owner of a known address is told by mail.
"""

from identity import accounts, links, passwords
from identity.addresses import digest
from identity.link_tables import RegistrationRecord
from identity.links import Purpose
from identity.models.auth import MailPromised, RegisterAccount
from identity.verifications import have_mailed
from kernel.ids import new_id
from kernel.principals import Visitor
from kernel.transactions import Transaction


def register(visitor: Visitor, body: RegisterAccount) -> MailPromised:
    """Keep a registration form and have a link mailed. One query, one transaction of three writes.

    Raises WeakPasswordError.
    """
    password = body.password.get_secret_value()
    passwords.refuse_weak(password, about=[body.email, body.company_name])
    address_digest, registration_id = digest(body.email), new_id("reg")
    owner, _ = accounts.find_address(address_digest)
    link = links.make(Purpose.VERIFICATION, subject=registration_id, address_digest=address_digest)
    registration = RegistrationRecord(
        *RegistrationRecord.keys(address_digest, registration_id),
        registration_id=registration_id,
        company_name=body.company_name,
        email=body.email,
        password_hash=passwords.hash_password(password),
        plan=body.plan,
        mode=body.mode,
        link_hash=link.secret_hash,
        expires_at=link.record.expires_at,
    )
    with Transaction(visitor) as transaction:
        transaction.create(registration)
        have_mailed(transaction, link, body.email, body.company_name, known=owner is not None)
    return links.promise(body.email, Purpose.VERIFICATION)
