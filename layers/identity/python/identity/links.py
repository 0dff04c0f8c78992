"""Secrets that travel by mail: 256 random bits, kept as SHA-256, good once and for a time."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from identity.errors import LinkInvalidError
from identity.link_tables import LinkRecord
from identity.models.auth import MailPromised
from identity.tables import is_over
from kernel import clock, encryption
from kernel.authentication import hash_secret
from kernel.tables import find
from kernel.transactions import Transaction


class Purpose(StrEnum):
    """What a link is for."""

    VERIFICATION = "verification"
    RESET = "reset"
    NOTHING = "nothing"
    """A link that nobody gets: it keeps the writes for unknown addresses equal."""


LIFETIMES: Final = {
    Purpose.VERIFICATION: timedelta(hours=24),
    Purpose.RESET: timedelta(hours=1),
    Purpose.NOTHING: timedelta(hours=1),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A new link: the record of its hash, and its secret sealed for whoever mails it."""

    record: LinkRecord
    secret_hash: str
    sealed_secret: str


def make(purpose: Purpose, *, subject: str, address_digest: str) -> Link:
    """Return a new link; one KMS call, as its secret leaves this function encrypted only.

    It is sealed for `purpose="link"` and the subject, by which the mail's author opens it.
    """
    now = clock.wall()
    secret = f"lnk_{secrets.token_urlsafe(32)}"
    secret_hash = hash_secret(secret)
    record = LinkRecord(
        LinkRecord.partition(secret_hash),
        LinkRecord.SK,
        purpose=purpose,
        subject=subject,
        address_digest=address_digest,
        created_at=now,
        expires_at=now + LIFETIMES[purpose],
    )
    return Link(record, secret_hash, encryption.seal(secret, purpose="link", subject=subject))


def promise(email: str, purpose: Purpose) -> MailPromised:
    """Return what is answered to a request for a link, whoever the address belongs to."""
    return MailPromised(email=email, expires_in=int(LIFETIMES[purpose].total_seconds()))


def follow(secret: str, purpose: Purpose) -> LinkRecord:
    """Return the link of a secret; raises LinkInvalidError. One consistent read."""
    record = find(LinkRecord, LinkRecord.partition(hash_secret(secret)), LinkRecord.SK)
    if record is None or record.purpose != purpose or is_over(record.expires_at, clock.wall()):
        raise LinkInvalidError
    return record


def use_up(transaction: Transaction, record: LinkRecord) -> None:
    """Make the transaction the one that consumes the link."""
    transaction.delete(record, condition=LinkRecord.pk.exists(), conflict=LinkInvalidError())
