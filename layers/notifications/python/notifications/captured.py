"""The mail of test tenants, to be read by those who build on them."""

from kernel.pagination import Page
from kernel.principals import Caller
from notifications.errors import MailNotCapturedError
from notifications.models import CapturedMail
from notifications.tables import MailRecord


def page(caller: Caller, *, limit: int, cursor: str | None) -> Page[CapturedMail]:
    """Return a page of the caller's test tenant's mails, newest first. One query.

    Raises MailNotCapturedError for live tenants.
    """
    if caller.mode != "test":
        raise MailNotCapturedError
    records, following = MailRecord.page(caller.tenant_id, limit=limit, cursor=cursor)
    mails = [_shown(record) for record in records if record.html is not None]
    return Page[CapturedMail](data=mails, next_cursor=following)


def _shown(record: MailRecord) -> CapturedMail:
    return CapturedMail(
        id=record.id,
        event_id=record.event_id,
        template=record.template,
        status=record.status,
        to=record.recipient,
        subject=record.subject,
        text=record.text,
        html=record.html,
        created_at=record.claimed_at,
    )
