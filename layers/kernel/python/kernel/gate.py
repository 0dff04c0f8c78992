"""Admission: one conditional update of the tenant's gate item decides and counts at once.

Counters carry their window in the attribute name, so that a new window needs no branch:

    t<minute>         calls of users, whole tenant       limit_tenant_minute
    u<minute>#<user>  calls of one user                  limit_user_minute
    k<minute>         calls of API keys                  limit_key_minute
    h<hour> d<day>    calls of API keys                  limit_key_hour, limit_key_day
    p<yyyy-mm>        calls of API keys in a month       limit_month (the plan's quota)

<minute>, <hour> and <day> are counted from the epoch. Windows are fixed and exact. A limit that
is absent means unlimited. `status` is `active` or a suspension's reason; `revoked.<id>` holds
when a user's or session's tokens died. Months of a test tenant follow its test clock, whose
month stands in `clock_month`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from kernel import aws, clock
from kernel.clock import next_month
from kernel.errors import (
    QuotaExceededError,
    TenantSuspendedError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
)
from kernel.ids import is_test_tenant
from kernel.tables import GateRecord, GateTable, KeyRecord, find

ACTIVE: Final = "active"

Reason = Literal["payment", "abuse", "blacklisted", "terms"]

_THROTTLED: Final = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
)
_WINDOW: Final = re.compile(r"^([tukhd])(\d+)(?:#.*)?$")
_SECONDS: Final = {"t": 60, "u": 60, "k": 60, "h": 3_600, "d": 86_400}
_GATHERED: Final = 8
_CONFLICTS: Final = 3
"""How often an update is sent while a transaction holds the item (a logout, a suspension)."""
_MONTH_ATTEMPTS: Final = 3
_REVOCATION_MEMORY_SECONDS: Final = 3_600


class Access(StrEnum):
    """Which suspensions leave a route open."""

    CLOSED = "closed"
    """Closed by every suspension; the default."""
    CURE = "cure"
    """Open while suspended for `payment`, so that it can be cured."""
    OPEN = "open"
    """Open under every suspension: sign-in and me."""


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted call: what its windows say to the caller (`X-RateLimit-*`)."""

    limit: int | None
    remaining: int | None
    reset_epoch_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers; none for an unlimited window."""
        if self.limit is None or self.remaining is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.remaining, 0)),
            "X-RateLimit-Reset": str(self.reset_epoch_seconds),
        }


@dataclass(frozen=True, slots=True)
class _Window:
    """One counter of a call: its attribute, the limit's attribute and when it ends."""

    attribute: str
    limit: str
    ends: int


def admit_user(
    tenant_id: str, user_id: str, session_id: str, issued_at: float, route: str, access: Access
) -> Admission:
    """Admit a call with a user's token, or raise why not. One DynamoDB call."""
    second = int(clock.wall().timestamp())
    minute, ends = second // 60, (second // 60 + 1) * 60
    windows = (
        _Window(f"u{minute}#{user_id}", "limit_user_minute", ends),
        _Window(f"t{minute}", "limit_tenant_minute", ends),
    )
    conditions = [
        "(attribute_not_exists(revoked.#user) OR revoked.#user < :issued)",
        "attribute_not_exists(revoked.#session)",
    ]
    names = {"#user": user_id, "#session": session_id}
    values = {":issued": _number(round(issued_at * 1000))}
    return _admit(
        tenant_id, windows, route, access, conditions=conditions, names=names, values=values
    )


def admit_key(tenant_id: str, key_id: str, route: str, access: Access) -> Admission:
    """Admit and meter a call with an API key, or raise why not. One DynamoDB call.

    A test tenant's first call after its clock entered another month costs a second one.
    """
    now = clock.wall()
    month = f"{now:%Y-%m}"
    if not is_test_tenant(tenant_id):
        return _admit_key(tenant_id, key_id, route, access, now, month)
    month = _TEST_MONTHS.get(tenant_id, month)
    for _ in range(_MONTH_ATTEMPTS):
        try:
            return _admit_key(tenant_id, key_id, route, access, now, month)
        except _OtherMonthError as other:
            month = _TEST_MONTHS[tenant_id] = other.month
    raise UnavailableError("The test clock is moving; repeat the request.")


def limit_visitors(what: str, value: str, *, limit: int, window_seconds: int = 60) -> None:
    """Bound public calls per IP or address; raises TooManyRequestsError. One DynamoDB call."""
    second = int(clock.wall().timestamp())
    window = second // window_seconds
    ends = (window + 1) * window_seconds
    try:
        _client().update_item(
            TableName=GateTable.Meta.table_name,
            Key=_key(f"LIMIT#{what}#{value}", f"WINDOW#{window}"),
            UpdateExpression="ADD calls :one SET expires_at = :expiry, kind = :kind",
            ConditionExpression="attribute_not_exists(calls) OR calls < :limit",
            ExpressionAttributeValues={
                ":one": _number(1),
                ":limit": _number(limit),
                ":expiry": _number(ends + 3_600),
                ":kind": {"S": "limit"},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise _refusal(error) from error
        raise TooManyRequestsError(
            "Too many attempts; wait before the next.", headers=_retry_after(ends)
        ) from error
    except BotoCoreError as error:
        raise UnavailableError from error


def find_key(secret_hash: str) -> KeyRecord | None:
    """Return the API key with this SHA-256, by a consistent read; None when unknown or revoked."""
    return find(KeyRecord, f"KEYHASH#{secret_hash}", "KEY")


def read(tenant_id: str) -> GateRecord:
    """Return a tenant's gate item, read consistently; raises UnauthenticatedError without one."""
    record = find(GateRecord, tenant_id, "GATE")
    if record is None:
        raise UnauthenticatedError
    return record


def require_active(tenant_id: str, *, access: Access = Access.CLOSED) -> None:
    """Raise TenantSuspendedError unless outward effects are allowed.

    Called right before a provider: mail, letters, charges, deliveries, DNS.
    """
    status, statuses = read(tenant_id).status, _open_statuses(access)
    if statuses and status not in statuses:
        raise TenantSuspendedError(status)


def count_month(tenant_id: str, month: str) -> int:
    """Return how many API-key calls of a month (`2026-11`) were admitted."""
    response = _client().get_item(
        TableName=GateTable.Meta.table_name,
        Key=_key(tenant_id),
        ConsistentRead=True,
        ProjectionExpression="#p",
        ExpressionAttributeNames={"#p": f"p{month}"},
    )
    return int(response.get("Item", {}).get(f"p{month}", {"N": "0"})["N"])


class _OtherMonthError(Exception):
    """A test tenant's clock stands in another month than the call assumed."""

    def __init__(self, month: str) -> None:
        super().__init__(month)
        self.month = month


_TEST_MONTHS: dict[str, str] = {}


def _admit_key(
    tenant_id: str, key_id: str, route: str, access: Access, now: datetime, month: str
) -> Admission:
    second = int(now.timestamp())
    minute, hour, day = second // 60, second // 3_600, second // 86_400
    windows = (
        _Window(f"k{minute}", "limit_key_minute", (minute + 1) * 60),
        _Window(f"h{hour}", "limit_key_hour", (hour + 1) * 3_600),
        _Window(f"d{day}", "limit_key_day", (day + 1) * 86_400),
        _Window(f"p{month}", "limit_month", int(next_month(now).timestamp())),
    )
    conditions: list[str] = []
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    if is_test_tenant(tenant_id):
        conditions.append("(attribute_not_exists(clock_month) OR clock_month = :month)")
        values[":month"] = {"S": month}
    values[":key"] = {"S": key_id}
    return _admit(
        tenant_id, windows, route, access, conditions=conditions, names=names, values=values
    )


def _admit(
    tenant_id: str,
    windows: tuple[_Window, ...],
    route: str,
    access: Access,
    *,
    conditions: list[str],
    names: dict[str, str],
    values: dict[str, Any],
) -> Admission:
    """Run the conditional update; `conditions` are what else must hold beside the windows."""
    assigned = ["last_route = :route"] + (["last_key = :key"] if ":key" in values else [])
    additions = []
    names |= {"#status": "status"}
    values |= {":one": _number(1), ":route": {"S": route}}
    for index, window in enumerate(windows):
        name = f"#w{index}"
        names[name] = window.attribute
        additions.append(f"{name} :one")
        conditions.append(
            f"(attribute_not_exists({window.limit}) OR {window.limit} > :zero AND"
            f" attribute_not_exists({name}) OR {name} < {window.limit})"
        )
    values[":zero"] = _number(0)
    statuses = sorted(_open_statuses(access))
    if statuses:
        values |= {f":s{index}": {"S": status} for index, status in enumerate(statuses)}
        allowed = ", ".join(f":s{index}" for index in range(len(statuses)))
        conditions.append(f"#status IN ({allowed})")
    else:
        conditions.append("attribute_exists(#status)")
    try:
        response = _update(
            TableName=GateTable.Meta.table_name,
            Key=_key(tenant_id),
            UpdateExpression=f"ADD {', '.join(additions)} SET {', '.join(assigned)}",
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise _refusal(error) from error
        old: Any = error.response.get("Item", {})
        raise _reason(old, windows, statuses, names, values) from error
    except BotoCoreError as error:
        raise UnavailableError from error
    item = response["Attributes"]
    if item[windows[0].attribute]["N"] == "1":
        _forget_old_windows(tenant_id, item)
    limit = item.get(windows[0].limit)
    used = int(item[windows[0].attribute]["N"])
    bound = int(limit["N"]) if limit else None
    return Admission(bound, bound - used if bound is not None else None, windows[0].ends)


def _reason(  # noqa: PLR0911 - one return a reason
    old: Mapping[str, Any],
    windows: tuple[_Window, ...],
    statuses: list[str],
    names: Mapping[str, str],
    values: Mapping[str, Any],
) -> Exception:
    """Return the error that says why the item refused the call."""
    status = old.get("status", {}).get("S")
    if status is None:
        return UnauthenticatedError("The account does not exist.")
    revoked = old.get("revoked", {}).get("M", {})
    died = revoked.get(names.get("#user", ""), {}).get("N")
    if names.get("#session", "") in revoked or (died and int(died) >= int(values[":issued"]["N"])):
        return UnauthenticatedError("The session has ended; sign in again.")
    if statuses and status not in statuses:
        return TenantSuspendedError(status)
    month = old.get("clock_month", {}).get("S")
    if ":month" in values and month and month != values[":month"]["S"]:
        return _OtherMonthError(month)
    for window in windows:
        limit = old.get(window.limit, {}).get("N")
        if limit is None or int(old.get(window.attribute, {"N": "0"})["N"]) < int(limit):
            continue
        if window.limit == "limit_month":
            return QuotaExceededError(
                f"The plan includes {limit} calls a month.", headers=_retry_after(window.ends)
            )
        admission = Admission(int(limit), 0, window.ends)
        headers = admission.headers | _retry_after(window.ends)
        return TooManyRequestsError(f"The limit is {limit} ({window.limit}).", headers=headers)
    return UnavailableError("Admission changed while it was decided; repeat the request.")


def _forget_old_windows(tenant_id: str, item: Mapping[str, Any]) -> None:
    """Remove counters older than the previous window, once eight or more have gathered.

    The previous window stays, or a late clock would get a fresh limit.
    """
    now = int(clock.wall().timestamp())
    names = [
        name
        for name in item
        if (match := _WINDOW.match(name)) and int(match[2]) < now // _SECONDS[match[1]] - 1
    ]
    dead = [
        subject
        for subject, died in item.get("revoked", {}).get("M", {}).items()
        if int(died["N"]) / 1000 < now - _REVOCATION_MEMORY_SECONDS
    ]
    if len(names) + len(dead) < _GATHERED:
        return
    paths = {f"#n{index}": name for index, name in enumerate(names[:100])}
    dead_paths = {f"#r{index}": subject for index, subject in enumerate(dead[:100])}
    removed = [*paths, *(f"revoked.{path}" for path in dead_paths)]
    try:
        _client().update_item(
            TableName=GateTable.Meta.table_name,
            Key=_key(tenant_id),
            UpdateExpression=f"REMOVE {', '.join(removed)}",
            ExpressionAttributeNames=paths | dead_paths,
        )
    except (ClientError, BotoCoreError):
        return


def _update(**request: Any) -> dict[str, Any]:
    """Send the update; one that met a transaction was surely not counted, so it is sent again."""
    for _ in range(_CONFLICTS):
        try:
            answer: dict[str, Any] = _client().update_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionConflictException":
                raise
        else:
            return answer
    raise UnavailableError("The account is being changed; repeat the request.")


def _open_statuses(access: Access) -> frozenset[str]:
    if access is Access.OPEN:
        return frozenset()
    return frozenset({ACTIVE, "payment"} if access is Access.CURE else {ACTIVE})


def _refusal(error: ClientError) -> Exception:
    if error.response["Error"]["Code"] in _THROTTLED:
        return TooManyRequestsError(
            "The account's traffic is too dense.", headers={"Retry-After": "1"}
        )
    return UnavailableError()


def _retry_after(ends: int) -> dict[str, str]:
    return {"Retry-After": str(max(1, ends - int(clock.wall().timestamp())))}


def _key(pk: str, sk: str = "GATE") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _client() -> Any:
    return aws.client("dynamodb", single_attempt=True)
