"""Sending a mail once: claim, check, hand to SES, settle.

    DynamoDB calls   about a person 3: claim, suppression, settle; about a tenant 4: + its gate
    of a double      2: the claim, refused, and the record; none of SES

SES cannot tell doubles apart, so a mail is claimed by a conditional write before the call, and
settled after it. Whoever finds a claim that is not settled does not know whether the mail left:

- If SES has told so by an event (`feedback`), the record says `sent` or more, and that is that.
- If the claim is younger than `mail_resend_after_seconds`, the event is tried again later.
- If it is older, the mail is sent again: where a crash or a time-out meets the loss of SES's
  event, a mail goes twice rather than never.

A call that SES certainly did not take frees its claim at once.
"""

from datetime import timedelta

from kernel import clock, gate
from kernel.errors import TenantSuspendedError
from kernel.gate import Access
from kernel.ids import is_test_tenant, new_id
from kernel.observability import logger, mask
from kernel.settings import load
from notifications import ses
from notifications.catalog import CAPTURED_RETENTION
from notifications.composition import Mail
from notifications.errors import MailInFlightError, NotSentError, RejectedError, ReopenedError
from notifications.rendering import Content, render
from notifications.settings import NotificationsSettings
from notifications.tables import (
    UNDECIDED,
    MailRecord,
    Status,
    SuppressionRecord,
    hash_address,
)


def deliver(mail: Mail) -> None:
    """Send the mail unless that was done, may not be, or is somebody else's at the moment.

    Raises MailError when the event must be tried again; every other end is recorded.
    """
    content = render(mail.template, mail.values)
    record = _claim(mail, content)
    if record is None:
        return
    if _is_stale(mail):
        _settle(record, Status.EXPIRED)
    elif reason := _suppression(mail):
        _settle(record, Status.SUPPRESSED, reason=reason)
    elif suspension := _suspension(mail):
        _withhold(record, mail, suspension)
    elif _captures(mail):
        _settle(record, Status.CAPTURED)
    else:
        _send(record, mail, content)


def _claim(mail: Mail, content: Content) -> MailRecord | None:
    """Return the record that is now this attempt's, or None where the mail needs no attempt."""
    record = _draft(mail, content)
    if record.put_if(MailRecord.pk.does_not_exist()):
        return record
    earlier = MailRecord.find(record.pk, mail.event.id, mail.template.name)
    if earlier is None:
        raise MailInFlightError("The mail's record has just expired")
    if earlier.id == record.id:
        return record
    if earlier.status not in UNDECIDED:
        return None
    if earlier.status == Status.SENDING and not _is_abandoned(earlier):
        raise MailInFlightError("Another attempt's outcome is not known yet")
    record.id, record.attempt = earlier.id, earlier.attempt + 1
    if not record.put_if(MailRecord.is_at(earlier.attempt, earlier.status)):
        raise MailInFlightError("Another attempt has begun")
    return record


def _draft(mail: Mail, content: Content) -> MailRecord:
    event, now, kept = mail.event, clock.wall(), _is_kept(mail)
    record = MailRecord(
        event.tenant_id,
        MailRecord.sort_key(event.id, mail.template.name),
        id=new_id("mail"),
        event_id=event.id,
        event_type=event.type,
        template=mail.template.name,
        claimed_at=now,
        recipient_hash=hash_address(mail.recipient),
        recipient_masked=mask(mail.recipient),
        expires_at=now + (CAPTURED_RETENTION if kept else mail.template.retention),
    )
    if kept:
        record.recipient, record.subject = mail.recipient, content.subject
        record.text, record.html = content.text, content.html
    return record


def _is_abandoned(record: MailRecord) -> bool:
    seconds = load(NotificationsSettings).mail_resend_after_seconds
    return record.claimed_at <= clock.wall() - timedelta(seconds=seconds)


def _is_kept(mail: Mail) -> bool:
    """Tell whether the words are kept to be read: a test tenant's own mail, and no other."""
    return mail.template.about == "tenant" and is_test_tenant(mail.event.tenant_id)


def _captures(mail: Mail) -> bool:
    return _is_kept(mail) and not load(NotificationsSettings).sends_mail_of_test_tenants


def _is_stale(mail: Mail) -> bool:
    """Tell whether the mail comes too late to be of use, as after a replay of old events.

    A test tenant's facts carry its own clock's time, which says nothing about their age.
    """
    if is_test_tenant(mail.event.tenant_id):
        return False
    return mail.event.occurred_at + mail.template.useful_for < clock.wall()


def _suppression(mail: Mail) -> str | None:
    """Return why the recipient is spared, or None."""
    record = SuppressionRecord.find(mail.recipient)
    if record is None:
        return None
    if record.reason == SuppressionRecord.COMPLAINT and mail.template.despite_complaint:
        return None
    return record.reason


def _suspension(mail: Mail) -> str | None:
    """Return the suspension that closes the way to the provider for this mail, or None."""
    if mail.template.access is Access.OPEN:
        return None
    try:
        gate.require_active(mail.event.tenant_id, access=mail.template.access)
    except TenantSuspendedError as suspension:
        return suspension.reason
    return None


def _withhold(record: MailRecord, mail: Mail, suspension: str) -> None:
    """Put the mail aside until the suspension is lifted (`mails.release`).

    Had it been lifted before the mail lay there, nobody would come for it: hence the second look.
    """
    record.event = mail.event.model_dump_json()
    _settle(record, Status.WITHHELD, reason=suspension)
    if _suspension(mail) is None:
        raise ReopenedError("The tenant was reactivated meanwhile")


def _send(record: MailRecord, mail: Mail, content: Content) -> None:
    outgoing = ses.Outgoing(
        recipient=mail.recipient,
        content=content,
        reference=record.id,
        tags={
            "tenant_id": mail.event.tenant_id,
            "event_id": mail.event.id,
            "template": mail.template.name,
        },
    )
    try:
        record.message_id = ses.send(outgoing)
    except RejectedError as error:
        _settle(record, Status.REJECTED, reason=mask(str(error)))
    except NotSentError as error:
        _settle(record, Status.FAILED, reason=mask(str(error)))
        raise
    else:
        _settle(record, Status.SENT)


def _settle(record: MailRecord, status: Status, *, reason: str | None = None) -> None:
    """Write how this attempt ended, unless SES's events or a later attempt have said more."""
    record.status, record.reason = status, reason
    settled = record.put_if(MailRecord.is_at(record.attempt, Status.SENDING))
    log = logger.error if status is Status.REJECTED else logger.info
    log("Mail", template=record.template, mail_id=record.id, status=status, settled=settled)
