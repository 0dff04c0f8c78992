"""Idempotency keys: claimed before the work, answered from the record afterwards.

The claim is one conditional put, so of two racing requests one works and the other learns that the
key is in use. The answer is written in the transaction of the work itself. A claim whose request
died is free again after a while.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pynamodb.exceptions import DeleteError, PutError
from pynamodb.expressions.condition import Condition

from sandbox.storage import IdempotencyRecord, Json, UnitOfWork, expiry, now

KEPT = timedelta(hours=24)
LEASE_SECONDS = 120
RANGE_KEY = "KEY"


class KeyInUse(Exception):
    """A request with this key is being worked on."""


class KeyReused(Exception):
    """The key was first used for another request; `other_endpoint` names it if it differs."""

    def __init__(self, other_endpoint: str | None) -> None:
        super().__init__(other_endpoint)
        self.other_endpoint = other_endpoint


@dataclass(frozen=True)
class Replay:
    """What the first request with this key was answered."""

    answer: Json
    request_id: str


@dataclass(frozen=True)
class Claim:
    """The right to work under a key."""

    record: IdempotencyRecord

    def complete(self, work: UnitOfWork, answer: Json) -> None:
        """Keep the answer, together with the work."""
        record = self.record
        work.record(
            IdempotencyRecord(
                record.pk,
                RANGE_KEY,
                fingerprint=record.fingerprint,
                endpoint=record.endpoint,
                request_id=record.request_id,
                answer=answer,
                expires_at=expiry(KEPT),
            ),
            self._is_ours(),
        )

    def release(self) -> None:
        """Give the key back: no work was done under it."""
        try:
            self.record.delete(condition=self._is_ours())
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def _is_ours(self) -> Condition:
        unanswered: Condition = IdempotencyRecord.answer.does_not_exist()
        ours: Condition = unanswered & (IdempotencyRecord.request_id == self.record.request_id)
        return ours


def claim(provider: str, key: str, endpoint: str, params: Json, request_id: str) -> Claim | Replay:
    """Claim a key for a request, or get what it was answered; raises KeyInUse and KeyReused."""
    fingerprint = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    record = IdempotencyRecord(
        f"{provider}#KEY#{key}",
        RANGE_KEY,
        fingerprint=fingerprint,
        endpoint=endpoint,
        request_id=request_id,
        locked_until=now() + LEASE_SECONDS,
        expires_at=expiry(KEPT),
    )
    free = (
        IdempotencyRecord.pk.does_not_exist()
        | (IdempotencyRecord.expires_at < datetime.now(UTC))
        | (IdempotencyRecord.answer.does_not_exist() & (IdempotencyRecord.locked_until < now()))
    )
    try:
        record.save(condition=free)
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return _earlier(record)
    return Claim(record)


def _earlier(record: IdempotencyRecord) -> Replay:
    try:
        earlier = IdempotencyRecord.get(record.pk, RANGE_KEY, consistent_read=True)
    except IdempotencyRecord.DoesNotExist:
        raise KeyInUse from None  # it was released between the two calls
    if earlier.endpoint != record.endpoint:
        raise KeyReused(earlier.endpoint)
    if earlier.fingerprint != record.fingerprint:
        raise KeyReused(None)
    if earlier.answer is None:
        raise KeyInUse
    return Replay(earlier.answer, earlier.request_id)
