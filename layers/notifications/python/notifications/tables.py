"""The table `notifications`: mails by event, contacts by tenant, suppressed addresses.

    pk                    sk                            record
    <tenant> | PLATFORM   MAIL#<event id>#<template>    MailRecord         one mail, sent once
    <tenant>              CONTACT                       ContactRecord      whom billing writes to
    SUPPRESSED#<sha256>   SUPPRESSION                   SuppressionRecord  an address to spare

Of a recipient only the SHA-256 of the address and a masked form are kept, and of a live tenant's
mail no text: the address stands in the contact, and events say what was written. A hash of an
address can be guessed, so it is treated as personal data; it answers "did this address get a
mail" without listing addresses. Mail of test tenants is kept whole, to be read.
"""

import hashlib
from email.utils import parseaddr
from enum import StrEnum
from typing import Any, Final

from pynamodb.attributes import (
    DiscriminatorAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from kernel.settings import resource_name
from kernel.tables import Table, find, query_page

_PREFIX: Final = "MAIL#"
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class Status(StrEnum):
    """What became of a mail; those of one line below can follow those above."""

    SENDING = "sending"
    FAILED = "failed"
    WITHHELD = "withheld"

    CAPTURED = "captured"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    SENT = "sent"

    DELAYED = "delayed"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


UNDECIDED: Final = frozenset({Status.SENDING, Status.FAILED, Status.WITHHELD})
"""Statuses from which a mail may still have to be sent; all others are final for its sender."""


class NotificationsTable(Table):
    """Everything that notifications keeps."""

    class Meta:
        table_name = resource_name("notifications")

    kind = DiscriminatorAttribute()

    def put_if(self, condition: Condition | None) -> bool:
        """Put the record where a condition holds, and tell whether it did."""
        try:
            self.save(condition=condition)
        except PutError as error:
            if error.cause_response_code != _CONDITION_FAILED:
                raise
            return False
        return True

    def change_if(self, condition: Condition, *actions: Action) -> bool:
        """Change the record where a condition holds, and tell whether it did."""
        try:
            self.update(actions=list(actions), condition=condition)
        except UpdateError as error:
            if error.cause_response_code != _CONDITION_FAILED:
                raise
            return False
        return True


class MailRecord(NotificationsTable, discriminator="mail"):
    """One mail of one event: claimed before it is handed to SES, settled afterwards.

    `attempt` counts claims, so that only the latest may settle. `event` is kept while the mail is
    withheld; `recipient`, `subject`, `text` and `html` for test tenants only.
    """

    id = UnicodeAttribute()
    event_id = UnicodeAttribute()
    event_type = UnicodeAttribute()
    template = UnicodeAttribute()
    status = UnicodeAttribute(default=Status.SENDING)
    reason = UnicodeAttribute(null=True)
    attempt = NumberAttribute(default=1)
    claimed_at = UTCDateTimeAttribute()
    recipient_hash = UnicodeAttribute()
    recipient_masked = UnicodeAttribute()
    message_id = UnicodeAttribute(null=True)
    event = UnicodeAttribute(null=True)
    recipient = UnicodeAttribute(null=True)
    subject = UnicodeAttribute(null=True)
    text = UnicodeAttribute(null=True)
    html = UnicodeAttribute(null=True)

    @staticmethod
    def sort_key(event_id: str, template: str) -> str:
        """Return the sort key of an event's mail; event ids sort by time."""
        return f"{_PREFIX}{event_id}#{template}"

    @classmethod
    def find(cls, tenant_id: str, event_id: str, template: str) -> "MailRecord | None":
        """Return a mail by a consistent read, or None."""
        return find(cls, tenant_id, cls.sort_key(event_id, template))

    @classmethod
    def is_at(cls, attempt: float, status: str) -> Condition:
        """Return the condition that a mail stands where it was seen."""
        condition: Condition = (cls.attempt == attempt) & (cls.status == status)
        return condition

    @classmethod
    def page(
        cls, tenant_id: str, *, limit: int, cursor: str | None
    ) -> tuple[list["MailRecord"], str | None]:
        """Return a page of a tenant's mails, newest first, and the next cursor."""
        return query_page(cls, tenant_id, prefix=_PREFIX, limit=limit, cursor=cursor)

    @classmethod
    def withheld(cls, tenant_id: str) -> list["MailRecord"]:
        """Return a tenant's withheld mails, oldest first. One query, of the tenant's mails."""
        mails = cls.query(
            tenant_id,
            cls.sk.startswith(_PREFIX),
            cls.status == Status.WITHHELD,
            consistent_read=True,
        )
        return list(mails)


class ContactRecord(NotificationsTable, discriminator="contact"):
    """Whom a tenant's billing mail goes to; `email` is null until TenantRegistered arrives."""

    email = UnicodeAttribute(null=True)
    company_name = UnicodeAttribute()
    version = NumberAttribute(default=1)

    @classmethod
    def of(cls, tenant_id: str) -> "ContactRecord":
        """Return the record of a tenant with its keys set, to be changed without being read."""
        return cls(pk=tenant_id, sk="CONTACT")

    @classmethod
    def find(cls, tenant_id: str) -> "ContactRecord | None":
        """Return a tenant's contact by a consistent read, or None."""
        return find(cls, tenant_id, "CONTACT")

    def remember(self, email: str, company_name: str, version: int) -> None:
        """Keep the address; a name that is already there came with a newer event."""
        self.update(
            actions=[
                ContactRecord.kind.set(ContactRecord),
                ContactRecord.email.set(email),
                ContactRecord.company_name.set(ContactRecord.company_name | company_name),
                ContactRecord.version.set(ContactRecord.version | version),
            ]
        )

    def rename(self, company_name: str, version: int) -> bool:
        """Keep the name unless a newer one is known, and tell whether it was kept."""
        return self.change_if(
            ContactRecord.version.does_not_exist() | (ContactRecord.version < version),
            ContactRecord.kind.set(ContactRecord),
            ContactRecord.company_name.set(company_name),
            ContactRecord.version.set(version),
        )


class SuppressionRecord(NotificationsTable, discriminator="suppression"):
    """An address that the platform spares: it bounced for good, or its owner complained.

    It stays until staff delete it; SES keeps a list of bounced addresses of its own.
    """

    BOUNCE = "bounce"
    COMPLAINT = "complaint"

    reason = UnicodeAttribute()
    detail = UnicodeAttribute(null=True)
    suppressed_at = UTCDateTimeAttribute()

    @classmethod
    def find(cls, address: str) -> "SuppressionRecord | None":
        """Return why an address is spared, by a consistent read, or None."""
        return find(cls, f"SUPPRESSED#{hash_address(address)}", "SUPPRESSION")

    @classmethod
    def of(cls, address: str, **attributes: Any) -> "SuppressionRecord":
        """Return the record of an address with its keys set."""
        return cls(f"SUPPRESSED#{hash_address(address)}", "SUPPRESSION", **attributes)


def hash_address(address: str) -> str:
    """Return the SHA-256 by which an address is known, with or without a name before it.

    Case does not tell mailboxes apart, though RFC 5321 allows it.
    """
    bare = parseaddr(address)[1] or address
    return hashlib.sha256(bare.strip().lower().encode()).hexdigest()


ALL: tuple[type[Table], ...] = (NotificationsTable,)
