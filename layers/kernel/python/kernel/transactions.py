"""The unit of work: state, outbox and audit, idempotency key, in one DynamoDB transaction.

    with Transaction(caller, tenant_id, at=now) as transaction:
        transaction.create(record, conflict=ApiKeyExistsError())
        transaction.emit(ApiKeyCreated(...), changes={"name": body.name})
        transaction.remember(record.id)

Leaving the block commits once; an exception inside it writes nothing. A crash can therefore lose
neither a fact nor half of a change, and whoever repeats the operation finds all of it or none.
"""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self

from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from contracts.events import PLATFORM, Event
from kernel import clock
from kernel.errors import ConflictError, MailroomError, UnavailableError, VersionConflictError
from kernel.ids import is_test_tenant, new_id
from kernel.principals import Caller, Principal
from kernel.tables import ClockRecord, IdempotencyRecord, JournalRecord, Table

CHANGED: Final = "changed"
"""What the audit log says of a field whose value it does not keep."""

_ATTEMPTS: Final = 5
_IDEMPOTENCY_HOURS: Final = 24


class IdempotencyRaceError(ConflictError):
    """A twin of the request committed first; the endpoint answers with what it made."""


class Transaction:
    """Collects writes and commits them as one; `at` is the (tenant's) time of its facts."""

    def __init__(
        self, actor: Principal, tenant_id: str | None = None, *, at: datetime | None = None
    ) -> None:
        self.actor = actor
        own_tenant: str = getattr(actor, "tenant_id", PLATFORM)
        self.tenant_id = tenant_id or own_tenant
        self.at = at or clock.wall()
        self._writes: dict[str, list[dict[str, Any]]] = {
            "check": [],
            "delete": [],
            "put": [],
            "update": [],
        }
        self._conflicts: dict[str, list[MailroomError]] = {name: [] for name in self._writes}
        self._versioned: list[Model] = []
        self._busy: set[str] = set()
        self._idle: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self._commit()

    def create(self, record: Table, *, conflict: MailroomError | None = None) -> None:
        """Put a record that must not exist; `conflict` is raised when it does."""
        self.save(record, condition=type(record).pk.does_not_exist(), conflict=conflict)

    def save(
        self,
        record: Table,
        *,
        condition: Condition | None = None,
        conflict: MailroomError | None = None,
    ) -> None:
        """Put a record; one with a version attribute must not have changed since it was read."""
        kwargs = record.get_save_kwargs_from_instance(condition=condition)
        self._add("put", kwargs, conflict)
        self._versioned.append(record)

    def update(
        self,
        record: Table,
        actions: Sequence[Action],
        *,
        condition: Condition | None = None,
        conflict: MailroomError | None = None,
    ) -> None:
        """Update attributes of the record with these keys, without reading it first."""
        kwargs = record.get_update_kwargs_from_instance(
            actions=list(actions), condition=condition, add_version_condition=False
        )
        self._add("update", kwargs, conflict)

    def delete(
        self,
        record: Table,
        *,
        condition: Condition | None = None,
        conflict: MailroomError | None = None,
    ) -> None:
        """Delete the record with these keys."""
        kwargs = record.get_delete_kwargs_from_instance(
            condition=condition, add_version_condition=False
        )
        self._add("delete", kwargs, conflict)

    def check(self, record: Table, condition: Condition, *, conflict: MailroomError) -> None:
        """Require a condition of a record that the transaction does not write."""
        kwargs = type(record).get_operation_kwargs_from_class(
            record.pk, range_key=record.sk, condition=condition
        )
        self._add("check", kwargs, conflict)

    def emit(self, event: Event, changes: Mapping[str, Any] | None = None) -> None:
        """Publish a fact after the commit, and keep it in the audit log.

        `changes` is what the audit log may show: `{"name": "New"}`, or `CHANGED` as the value of
        a field whose content is nobody's business.
        """
        self._record(event.subject, event.type, changes, event)

    def note(self, action: str, subject: str, changes: Mapping[str, Any] | None = None) -> None:
        """Keep an action in the audit log that is no fact for other contexts."""
        self._record(subject, action, changes, None)

    def remember(self, resource_id: str, *, keep: Literal["day", "always"] = "day") -> None:
        """Bind the caller's Idempotency-Key, if it sent one, to the resource that this makes."""
        if not isinstance(self.actor, Caller) or (request := self.actor.idempotency) is None:
            return
        pk, sk = IdempotencyRecord.keys(self.tenant_id, request.route, request.key)
        expiry = clock.wall() + timedelta(hours=_IDEMPOTENCY_HOURS) if keep == "day" else None
        record = IdempotencyRecord(
            pk, sk, body_hash=request.body_hash, resource_id=resource_id, expires_at=expiry
        )
        self.create(record, conflict=IdempotencyRaceError())

    def busy(self, *work: str) -> None:
        """Count work that this transaction starts, so that a test clock waits for it."""
        self._busy.update(work)

    def idle(self, *work: str) -> None:
        """Take back work that this transaction ends."""
        self._idle.update(work)

    def _record(
        self, subject: str, action: str, changes: Mapping[str, Any] | None, event: Event | None
    ) -> None:
        if event is not None and event.tenant_id != self.tenant_id:
            raise ValueError(f"{event.type} belongs to another tenant than its transaction")
        entry_id = event.id if event else new_id("evt")
        audit = {"action": action, "actor": self.actor.actor, "changes": dict(changes or {})}
        record = JournalRecord(
            JournalRecord.partition(self.tenant_id, clock.wall()),
            entry_id,
            tenant_id=self.tenant_id,
            occurred_at=self.at,
            subject=subject,
            event_type=event.type if event else None,
            event=event.model_dump_json() if event else None,
            audit=audit,
        )
        self.save(record)
        if event is not None:
            self.busy(f"event/{event.id}")

    def _add(self, kind: str, kwargs: dict[str, Any], conflict: MailroomError | None) -> None:
        self._writes[kind].append(kwargs)
        self._conflicts[kind].append(conflict or VersionConflictError())

    def _count_for_test_clock(self) -> None:
        """Add the busy set's change; test tenants only, and sets make repeats harmless."""
        if not is_test_tenant(self.tenant_id):
            return
        if self._busy and self._idle:
            raise ValueError("One transaction either starts work or ends it")
        clock_record = ClockRecord.for_tenant(self.tenant_id)
        if self._busy:
            self.update(clock_record, [ClockRecord.busy.add(self._busy)])
        if self._idle:
            self.update(clock_record, [ClockRecord.busy.delete(self._idle)])

    def _commit(self) -> None:
        self._count_for_test_clock()
        if not any(self._writes.values()):
            return
        connection = JournalRecord._get_connection().connection  # noqa: SLF001 - the one client
        token = str(uuid.uuid4())
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                connection.transact_write_items(
                    condition_check_items=self._writes["check"],
                    delete_items=self._writes["delete"],
                    put_items=self._writes["put"],
                    update_items=self._writes["update"],
                    client_request_token=token,
                )
            except TransactWriteError as error:
                self._raise_unless_contended(error, last=attempt == _ATTEMPTS)
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  # nosec B311 - jitter
            else:
                for record in self._versioned:
                    record.update_local_version_attribute()
                return

    def _raise_unless_contended(self, error: TransactWriteError, *, last: bool) -> None:
        """Raise what a cancelled transaction means; return when it may simply be tried again."""
        conflicts = [conflict for kind in self._writes for conflict in self._conflicts[kind]]
        reasons = list(error.cancellation_reasons)
        for reason, conflict in zip(reasons, conflicts, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                raise conflict from error
        contended = any(reason and reason.code == "TransactionConflict" for reason in reasons)
        if not contended and error.cause_response_code != "TransactionInProgressException":
            raise error
        if last:
            raise UnavailableError("The record is being changed by others; repeat it.") from error
