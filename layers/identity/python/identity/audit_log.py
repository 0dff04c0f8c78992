"""The audit log of a tenant: the journal's facts, newest first, across months."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from identity.models.records import AuditActor, AuditEntry
from kernel import clock
from kernel.errors import InvalidCursorError
from kernel.ids import moment_of
from kernel.pagination import Page, decode_cursor, encode_cursor
from kernel.principals import Caller
from kernel.tables import JournalRecord

MAXIMUM_QUERIES: Final = 6
"""How many queries one page may take; a page that a filter leaves short has a next cursor."""

_FILTERED_PAGE: Final = 100
_POSITION: Final = re.compile(r"(20\d\d-(?:0[1-9]|1[0-2]))/((?:evt_[0-9a-z]{26})?)")
_OPEN_ACTORS: Final = frozenset({"user", "api_key", "visitor"})


@dataclass(frozen=True, slots=True)
class Filter:
    """What entries a page wants; None wants all."""

    action: str | None = None
    subject: str | None = None

    def wants(self, record: JournalRecord) -> bool:
        """Tell whether an entry belongs on the page."""
        return (self.action in (None, record.audit["action"])) and (
            self.subject in (None, record.subject)
        )


def list_page(caller: Caller, wanted: Filter, limit: int, cursor: str | None) -> Page[AuditEntry]:
    """Return a page of the caller's tenant's log. One query a month, six at most."""
    entries: list[AuditEntry] = []
    month, after = _start(cursor)
    first_month = _month_of(moment_of(caller.tenant_id))
    size = limit if wanted == Filter() else _FILTERED_PAGE
    for _ in range(MAXIMUM_QUERIES):
        if month < first_month:
            break
        records, following = JournalRecord.page(
            caller.tenant_id, month, limit=size, cursor=encode_cursor(after)
        )
        for record in records:
            if wanted.wants(record):
                entries.append(_describe(record))
            if len(entries) == limit:
                return Page(data=entries, next_cursor=_position(month, record.sk))
        after = decode_cursor(following, prefix="evt_")
        month = month if after else _month_of(month - timedelta(days=1))
    return Page(data=entries, next_cursor=_position(month, after) if month >= first_month else None)


def _start(cursor: str | None) -> tuple[datetime, str | None]:
    """Return the month at which a page starts, and the id after which."""
    present = _month_of(clock.wall())
    position = decode_cursor(cursor, prefix="20")
    if position is None:
        return present, None
    parts = _POSITION.fullmatch(position)
    if parts is None:
        raise InvalidCursorError
    month = datetime.strptime(parts[1], "%Y-%m").replace(tzinfo=UTC)
    return min(month, present), parts[2] or None


def _position(month: datetime, after: str | None) -> str | None:
    """Return the cursor that goes on in a month after an id."""
    return encode_cursor(f"{month:%Y-%m}/{after or ''}")


def _month_of(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _describe(record: JournalRecord) -> AuditEntry:
    actor = record.audit["actor"]
    shown = actor if actor["type"] in _OPEN_ACTORS else {"type": actor["type"]}
    return AuditEntry(
        id=record.sk,
        action=record.audit["action"],
        subject=record.subject,
        actor=AuditActor.model_validate(shown),
        changes=record.audit["changes"],
        occurred_at=record.occurred_at,
    )
