"""Faults: rules that make the sandbox misbehave, for the next n matching requests or until cleared.

A fault acts, and is used up, at one moment of a request: when the request comes in, when a card is
charged, when the answer leaves, or when its webhooks do. README.md has the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pynamodb.exceptions import UpdateError

from sandbox.identifiers import new_id
from sandbox.storage import FaultRecord, Json

PARTITION = "FAULTS"


class Moment(Enum):
    """When in a request a fault acts."""

    REQUEST = "request"
    CARD = "card"
    ANSWER = "answer"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its moment, and its options with their defaults (None: no default)."""

    moment: Moment
    options: Mapping[str, Any] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "status": Kind(Moment.REQUEST, {"status": None}),
    "slow": Kind(Moment.REQUEST, {"seconds": None}),
    "forget_idempotency": Kind(Moment.REQUEST),
    "decline": Kind(Moment.CARD, {"code": "generic_decline"}),
    "wrong_amount": Kind(Moment.CARD, {"amount": 0}),
    "double_charge": Kind(Moment.CARD),
    "timeout_after_success": Kind(Moment.ANSWER, {"seconds": 0}),
    "drop": Kind(Moment.ANSWER, {"seconds": 25}),
    "corrupt": Kind(Moment.ANSWER),
    "no_webhooks": Kind(Moment.WEBHOOK, {"events": ["*"]}),
    "duplicate_webhooks": Kind(Moment.WEBHOOK, {"events": ["*"], "count": 1}),
    "reorder_webhooks": Kind(Moment.WEBHOOK, {"events": ["*"]}),
    "late_webhooks": Kind(Moment.WEBHOOK, {"events": ["*"], "seconds": None}),
    "bad_signature": Kind(Moment.WEBHOOK, {"events": ["*"]}),
}

STATUSES = frozenset({429, 500, 503})
LONGEST_SECONDS = 60  # a delay is slept by a Lambda, whose timeout bounds it
SCOPE_FIELDS = ("provider", "method", "path", "customer", "metadata")


class InvalidFault(ValueError):
    """The control API was given a fault that makes no sense."""


@dataclass(frozen=True)
class Subject:
    """Whom a request is about: the customer, and the metadata of all that it names."""

    customer: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One rule: what it does and which requests it is for."""

    id: str
    kind: str
    provider: str | None
    method: str | None
    path: str | None
    customer: str | None
    metadata: Mapping[str, str]
    options: Mapping[str, Any]
    remaining: int | None

    def covers(self, provider: str, method: str, path: str) -> bool:
        """Whether a request's line is in the fault's scope."""
        return (
            self.provider in (None, provider)
            and self.method in (None, method)
            and path.startswith(self.path or "")
        )

    def concerns(self, subject: Subject) -> bool:
        """Whether the customer or the tenant of a request is in the fault's scope."""
        if self.customer not in (None, subject.customer):
            return False
        return all(subject.metadata.get(key) == value for key, value in self.metadata.items())

    def shown(self) -> Json:
        """The fault as the control API shows it."""
        scope = {name: getattr(self, name) for name in SCOPE_FIELDS if getattr(self, name)}
        times = "always" if self.remaining is None else self.remaining
        return {"id": self.id, "kind": self.kind, **scope, **self.options, "times": times}


class ArmedFaults:
    """The faults that may act on one request."""

    def __init__(
        self, provider: str, method: str, path: str, subject: Callable[[], Subject]
    ) -> None:
        self._faults = [fault for fault in listed() if fault.covers(provider, method, path)]
        self._subject = subject
        self._taken: dict[str, Fault] = {}

    def take(self, *kinds: str, event_type: str | None = None) -> Fault | None:
        """The first fault of these kinds that applies, used up by this request (once)."""
        for fault in self._faults:
            if fault.kind not in kinds or not self._applies(fault, event_type):
                continue
            if fault.id in self._taken or _use_up(fault):
                self._taken[fault.id] = fault
                return fault
        return None

    @property
    def taken(self) -> list[Json]:
        """The faults that acted on this request, for the log."""
        return [{"id": fault.id, "kind": fault.kind} for fault in self._taken.values()]

    def _applies(self, fault: Fault, event_type: str | None) -> bool:
        if event_type is not None and not matches_event(fault.options["events"], event_type):
            return False
        needs_subject = fault.customer is not None or bool(fault.metadata)
        return not needs_subject or fault.concerns(self._subject())


def add(rule: Json) -> Fault:
    """Arm a fault from the control API's JSON."""
    record = FaultRecord(PARTITION, new_id("flt"), rule=_checked(rule))
    times = rule.get("times", 1)
    if times != "always":
        if not _is_positive_integer(times):
            raise InvalidFault('times: a number of requests from 1, or "always"')
        record.remaining = times
    record.save()
    return _fault(record)


def listed() -> list[Fault]:
    """The armed faults, oldest first."""
    records = FaultRecord.query(PARTITION, consistent_read=True)
    return [_fault(record) for record in records if record.remaining != 0]


def clear(fault_id: str | None = None) -> int:
    """Disarm one fault or all of them."""
    records = [record for record in FaultRecord.query(PARTITION) if fault_id in (None, record.sk)]
    for record in records:
        record.delete()
    return len(records)


def matches_event(patterns: list[str], event_type: str) -> bool:
    """Whether an event type is named by patterns such as `*`, `charge.*` or `charge.failed`."""
    return any(
        pattern in ("*", event_type)
        or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )


def _fault(record: FaultRecord) -> Fault:
    rule = record.rule
    return Fault(
        id=record.sk,
        kind=rule["kind"],
        provider=rule.get("provider"),
        method=rule.get("method"),
        path=rule.get("path"),
        customer=rule.get("customer"),
        metadata=rule.get("metadata", {}),
        options={name: rule[name] for name in KINDS[rule["kind"]].options},
        remaining=None if record.remaining is None else int(record.remaining),
    )


def _use_up(fault: Fault) -> bool:
    if fault.remaining is None:
        return True
    try:
        FaultRecord(PARTITION, fault.id).update(
            actions=[FaultRecord.remaining.add(-1)],
            condition=FaultRecord.remaining > 0,
        )
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _checked(rule: Json) -> Json:
    name = rule.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidFault(f"kind: one of {', '.join(KINDS)}")
    unknown = set(rule) - {"kind", "times", *SCOPE_FIELDS, *kind.options}
    if unknown:
        raise InvalidFault(f"unknown: {', '.join(sorted(unknown))}")
    options = {option: rule.get(option, default) for option, default in kind.options.items()}
    scope = {each: rule[each] for each in SCOPE_FIELDS if rule.get(each) is not None}
    for field_name, value in {**options, **scope}.items():
        is_right, expected = _EXPECTED[field_name]
        if not is_right(value):
            raise InvalidFault(f"{field_name}: {expected}")
    return {"kind": name, **scope, **options}


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive_integer(value: Any) -> bool:
    return _is_integer(value) and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_a_wait(value: Any) -> bool:
    return (isinstance(value, float) or _is_integer(value)) and 0 <= value <= LONGEST_SECONDS


_TEXT = (_is_text, "a text")
_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "amount": (lambda value: _is_integer(value) and value >= 0, "an amount in minor units"),
    "code": _TEXT,
    "count": (_is_positive_integer, "a number from 1"),
    "customer": _TEXT,
    "events": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of event types",
    ),
    "metadata": (
        lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
        "an object of texts",
    ),
    "method": _TEXT,
    "path": _TEXT,
    "provider": _TEXT,
    "seconds": (_is_a_wait, f"from 0 to {LONGEST_SECONDS}"),
    "status": (lambda value: _is_integer(value) and value in STATUSES, f"of {sorted(STATUSES)}"),
}
