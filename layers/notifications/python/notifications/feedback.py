"""What became of a mail: SES's events to the mail's status, and addresses to spare.

Events come at least once, in any order, and by best effort. Each status is written only over
those that may come before it, so that an old event changes nothing and a double does no harm.
Every mail has one recipient, the address that we sent it to: that one is spared, whatever address
behind it the bounce may name.
"""

from typing import Final

from kernel import clock
from kernel.observability import logger
from notifications.models import SesEvent, SesMail, SesNotification
from notifications.tables import MailRecord, Status, SuppressionRecord

_LEFT_OPEN: Final = frozenset({Status.SENDING, Status.FAILED})

_PRECEDING: Final[dict[Status, frozenset[Status]]] = {
    Status.SENT: _LEFT_OPEN,
    Status.DELAYED: _LEFT_OPEN | {Status.SENT},
    Status.REJECTED: _LEFT_OPEN | {Status.SENT},
    Status.DELIVERED: _LEFT_OPEN | {Status.SENT, Status.DELAYED},
    Status.BOUNCED: _LEFT_OPEN | {Status.SENT, Status.DELAYED, Status.DELIVERED},
    Status.COMPLAINED: _LEFT_OPEN | {Status.SENT, Status.DELAYED, Status.DELIVERED, Status.BOUNCED},
}

_STATUSES: Final = {
    "Send": Status.SENT,
    "Delivery": Status.DELIVERED,
    "DeliveryDelay": Status.DELAYED,
    "Bounce": Status.BOUNCED,
    "Complaint": Status.COMPLAINED,
    "Reject": Status.REJECTED,
    "Rendering Failure": Status.REJECTED,
}
"""What the types of event mean; opens and clicks are neither tracked nor recorded."""

_PERMANENT: Final = "Permanent"
_NOT_SPAM: Final = "not-spam"


def record(notification: SesNotification) -> None:
    """Record what an event of SES says. One write for the mail, one for an address to spare."""
    event = notification.detail
    status = _STATUSES.get(event.type)
    if status is None or _is_withdrawn(event):
        return
    _spare(event)
    _note(event.mail, status, _reason(event))


def _note(mail: SesMail, status: Status, reason: str | None) -> None:
    """Write the status over those that may precede it; a mail that is not ours has no tags."""
    keys = mail.tag("tenant_id"), mail.tag("event_id"), mail.tag("template")
    tenant_id, event_id, template = keys
    if tenant_id is None or event_id is None or template is None:
        logger.warning("SES event without our tags", message_id=mail.messageId, status=status)
        return
    found = MailRecord(tenant_id, MailRecord.sort_key(event_id, template)).change_if(
        MailRecord.status.is_in(*sorted(_PRECEDING[status])),
        MailRecord.status.set(status),
        MailRecord.message_id.set(mail.messageId),
        MailRecord.reason.set(reason) if reason else MailRecord.reason.remove(),
    )
    log = logger.warning if status in {Status.BOUNCED, Status.COMPLAINED} else logger.info
    log("Mail", template=template, tenant_id=tenant_id, status=status, news=found)


def _spare(event: SesEvent) -> None:
    """Suppress the address of a permanent bounce or a complaint; a bounce outweighs a complaint."""
    if event.bounce is not None and event.bounce.bounceType == _PERMANENT:
        reason, condition = SuppressionRecord.BOUNCE, None
    elif event.complaint is not None:
        reason, condition = SuppressionRecord.COMPLAINT, SuppressionRecord.pk.does_not_exist()
    else:
        return
    for address in event.mail.destination:
        SuppressionRecord.of(
            address, reason=reason, detail=_reason(event), suppressed_at=clock.wall()
        ).put_if(condition)


def _is_withdrawn(event: SesEvent) -> bool:
    """Tell whether a complaint says that the mail is no spam after all."""
    return event.complaint is not None and event.complaint.complaintFeedbackType == _NOT_SPAM


def _reason(event: SesEvent) -> str | None:
    """Return what the event says about why."""
    if event.bounce is not None:
        return f"{event.bounce.bounceType}/{event.bounce.bounceSubType or 'General'}"
    if event.complaint is not None:
        return event.complaint.complaintFeedbackType or "complaint"
    details = event.reject or event.deliveryDelay or {}
    return details.get("reason") or details.get("delayType")
