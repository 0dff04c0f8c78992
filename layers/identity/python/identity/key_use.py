"""When API keys were last used, from the gate's stream: the gate's item names the last key."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pynamodb.exceptions import UpdateError

from identity.tables import ApiKeyRecord, lost_race
from kernel import clock
from kernel.tables import GateRecord, kind_of
from kernel.triggers import StreamRecord

PRECISION: Final = timedelta(minutes=1)

_KEY_COUNTER: Final = re.compile(r"k\d+")


def record(changes: Iterable[StreamRecord]) -> None:
    """Write the keys' `last_used_at`: one conditional write a key and batch, at most each minute.

    A batch that is repeated, or late, changes nothing that it should not.
    """
    now = clock.wall().replace(microsecond=0)
    for tenant_id, key_id in sorted({use for use in map(_use_in, changes) if use}):
        _mark(tenant_id, key_id, now)


def _use_in(change: StreamRecord) -> tuple[str, str] | None:
    """Return tenant and key of an admitted call with an API key, or None for anything else."""
    if change.kind != kind_of(GateRecord) or change.new is None or "last_key" not in change.new:
        return None
    if _counters(change.new) == _counters(change.old or {}):
        return None
    return change.new["pk"]["S"], change.new["last_key"]["S"]


def _counters(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the minute counters of API keys, by which their calls differ from users' calls."""
    return {name: value for name, value in image.items() if _KEY_COUNTER.fullmatch(name)}


def _mark(tenant_id: str, key_id: str, now: datetime) -> None:
    earlier = ApiKeyRecord.last_used_at.does_not_exist() | (
        ApiKeyRecord.last_used_at <= now - PRECISION
    )
    try:
        ApiKeyRecord.at(tenant_id, key_id).update(
            actions=[ApiKeyRecord.last_used_at.set(now)],
            condition=ApiKeyRecord.pk.exists() & earlier,
        )
    except UpdateError as error:
        if not lost_race(error):
            raise
