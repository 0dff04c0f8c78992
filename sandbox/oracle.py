"""The log that tests use as oracle: every request to a provider, and every charge that was made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.identifiers import new_id
from sandbox.storage import LOG_KEPT, Json, LogEntry, expiry

PARTITION = "LOG"


@dataclass(frozen=True)
class Filter:
    """Which requests are wanted; None and empty mean any."""

    provider: str | None = None
    method: str | None = None
    path: str | None = None
    customer: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def admits(self, entry: Json) -> bool:
        """Whether a logged request is wanted."""
        return (
            self.provider in (None, entry["provider"])
            and self.method in (None, entry["method"])
            and entry["path"].startswith(self.path or "")
            and self.customer in (None, entry["customer"])
            and all(entry["metadata"].get(key) == value for key, value in self.metadata.items())
        )


def item(entry: Json) -> LogEntry:
    """The item of a request, to be written with what the request changed."""
    identified = {"id": new_id("log"), "at": datetime.now(UTC).isoformat(), **entry}
    return LogEntry(PARTITION, identified["id"], entry=identified, expires_at=expiry(LOG_KEPT))


def read(wanted: Filter, limit: int) -> list[Json]:
    """The latest requests that are wanted, newest first."""
    found: list[Json] = []
    for record in LogEntry.query(PARTITION, scan_index_forward=False, consistent_read=True):
        if len(found) == limit:
            break
        if wanted.admits(record.entry):
            found.append(record.entry)
    return found


def charges(entries: Iterable[Json]) -> list[Json]:
    """Every charge that some requests made; a replayed answer made none."""
    return [
        {"request": entry["id"], "at": entry["at"], **effect}
        for entry in entries
        for effect in entry["effects"]
        if effect["object"] == "charge"
    ]
