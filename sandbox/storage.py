"""The sandbox's one table, and the unit of work that writes to it.

| item                | pk                        | sk          |
|---------------------|---------------------------|-------------|
| a provider's object | `<provider>#<type>`       | id          |
| idempotency record  | `<provider>#KEY#<key>`    | `KEY`       |
| fault               | `FAULTS`                  | id          |
| webhook endpoint    | `WEBHOOKS`                | id          |
| delivery            | `DELIVERIES`              | id          |
| logged request      | `LOG`                     | id          |

Identifiers sort by time, so every list is one query, newest first, with consistent reads.
"""

import functools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.attributes import (
    Attribute,
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
)
from pynamodb.connection import Connection, TableConnection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from sandbox import settings

Json = dict[str, Any]

LOG_KEPT = timedelta(days=7)


@functools.cache
def _connection() -> Connection:
    return Connection(region=settings.REGION)


class SandboxTable(Model):
    """The physical table; its items are the models below, told apart by `kind`."""

    class Meta:
        table_name = settings.TABLE_NAME
        region = settings.REGION
        billing_mode = "PAY_PER_REQUEST"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = DiscriminatorAttribute()
    expires_at = TTLAttribute(null=True)

    @classmethod
    def _get_connection(cls) -> TableConnection:
        """The model's connection on the one client of the worker; PynamoDB makes one a model."""
        connection = super()._get_connection()
        connection.connection._client = _connection().client  # noqa: SLF001 - it takes none else
        return connection


class StoredObject(SandboxTable, discriminator="object"):
    """An object of a provider: what its API shows (`body`) and what it hides (`private`)."""

    version = NumberAttribute(default=0)
    body: Attribute[Json] = JSONAttribute()
    private: Attribute[Json] = JSONAttribute(default=dict)


class IdempotencyRecord(SandboxTable, discriminator="idempotency"):
    """An idempotency key: claimed while its request runs, then the answer to replay."""

    fingerprint = UnicodeAttribute()
    endpoint = UnicodeAttribute()
    request_id = UnicodeAttribute()
    locked_until = NumberAttribute(default=0)
    answer: Attribute[Json | None] = JSONAttribute(null=True)


class FaultRecord(SandboxTable, discriminator="fault"):
    """A fault to inject; `remaining` is absent when it stays until it is cleared."""

    rule: Attribute[Json] = JSONAttribute()
    remaining: Attribute[Any] = NumberAttribute(null=True)


class WebhookEndpoint(SandboxTable, discriminator="webhook"):
    """A destination of a provider's webhooks; `events` are names, prefixes `x.*` or `*`."""

    provider = UnicodeAttribute()
    url = UnicodeAttribute()
    secret = UnicodeAttribute()
    events: Attribute[list[str]] = JSONAttribute()
    created = NumberAttribute()


class DeliveryRecord(SandboxTable, discriminator="delivery"):
    """One attempt to deliver a webhook, and what became of it."""

    detail: Attribute[Json] = JSONAttribute()


class LogEntry(SandboxTable, discriminator="log"):
    """One request to a provider's API, as `/_control/log` shows it."""

    entry: Attribute[Json] = JSONAttribute()


ALL = (SandboxTable,)


class Conflict(Exception):
    """Another request changed what this one had read."""


class UnitOfWork:
    """What one request reads and writes of a provider: all of it or nothing is committed."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self._seen: dict[tuple[str, str], StoredObject | None] = {}
        self._changed: dict[str, StoredObject] = {}
        self._records: list[tuple[Model, Condition | None]] = []

    def get(self, object_type: str, object_id: str) -> StoredObject | None:
        """Read an object, consistently and once."""
        key = (f"{self.provider}#{object_type}", object_id)
        if key not in self._seen:
            try:
                self._seen[key] = StoredObject.get(*key, consistent_read=True)
            except StoredObject.DoesNotExist:
                self._seen[key] = None
        return self._seen[key]

    def list(self, object_type: str, condition: Condition | None = None) -> Iterator[StoredObject]:
        """The committed objects of a type, newest first."""
        return iter(
            StoredObject.query(
                f"{self.provider}#{object_type}",
                condition,
                scan_index_forward=False,
                consistent_read=True,
            )
        )

    def add(self, object_type: str, object_id: str, body: Json, private: Json) -> StoredObject:
        """Put a new object."""
        stored = StoredObject(
            f"{self.provider}#{object_type}", object_id, body=body, private=private, version=0
        )
        self._seen[stored.pk, stored.sk] = stored
        self.change(stored)
        return stored

    def change(self, stored: StoredObject) -> None:
        """Write an object, if it is still as it was read."""
        self._changed[stored.sk] = stored

    def discard(self) -> None:
        """Forget the changes to objects; what was recorded beside them stays."""
        self._changed.clear()

    def record(self, item: Model, condition: Condition | None = None) -> None:
        """Write any other item beside the objects."""
        self._records.append((item, condition))

    def commit(self) -> None:
        """Write everything in one transaction, or raise Conflict."""
        try:
            with TransactWrite(connection=_connection()) as transaction:
                for stored in self._changed.values():
                    before = int(stored.version)
                    stored.version = before + 1
                    transaction.save(
                        stored,
                        condition=StoredObject.version == before
                        if before
                        else StoredObject.pk.does_not_exist(),
                    )
                for item, condition in self._records:
                    transaction.save(item, condition=condition)
        except TransactWriteError as error:
            reasons = {reason.code for reason in error.cancellation_reasons if reason}
            if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise Conflict from error
            raise


def expiry(kept: timedelta) -> datetime:
    """The time to live of an item that is kept for a while."""
    return datetime.now(UTC) + kept


def now() -> int:
    """The time of the sandbox's objects, in seconds since the epoch."""
    return int(time.time())


def clear(kept: tuple[type[SandboxTable], ...] = ()) -> int:
    """Delete every item but those of the kept models; the only scan there is."""
    deleted = 0
    keys = ["pk", "sk", "kind"]
    with SandboxTable.batch_write() as batch:
        for item in SandboxTable.scan(consistent_read=True, attributes_to_get=keys):
            if not isinstance(item, kept):
                batch.delete(item)
                deleted += 1
    return deleted
