"""API keys: `sk_live_…` or `sk_test_…` with 256 random bits, of which only SHA-256 is stored.

Two records make a key: identity's own, which members see, and the gate's look-up by the secret's
hash, which admission reads. They are written in one transaction.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from pynamodb.expressions.update import Action

from contracts.identity import ApiKeyCreated, ApiKeyRevoked
from identity import accounts
from identity.errors import ApiKeyExpiredError, ApiKeyNotFoundError, PermissionsExceedError
from identity.models.api_keys import ApiKey, ApiKeyIssued, CreateApiKey, RotateApiKey
from identity.tables import ApiKeyRecord, is_over
from kernel import clock
from kernel.authentication import hash_secret
from kernel.errors import FieldError, UnprocessableError, VersionConflictError
from kernel.ids import new_id
from kernel.pagination import Page
from kernel.permissions import reaches
from kernel.principals import Caller
from kernel.tables import KeyRecord, find
from kernel.transactions import Transaction

_READ: Final = "api_keys:read"
_WRITE: Final = "api_keys:write"


def create(caller: Caller, body: CreateApiKey) -> ApiKeyIssued:
    """Create a key and show its secret. One query, one transaction of up to five writes.

    Raises PermissionsExceedError, and UnprocessableError for a time that has passed.
    """
    if not reaches(caller.permissions, body.permissions):
        beyond = ", ".join(sorted(body.permissions - caller.permissions))
        raise PermissionsExceedError(f"You do not hold {beyond}.")
    if is_over(body.expires_at, clock.wall()):
        error = FieldError("body.expires_at", "past", "Give a time to come.")
        raise UnprocessableError(errors=[error])
    creator = accounts.of_caller(caller).user
    secret = _new_secret(caller)
    record = ApiKeyRecord.at(
        caller.tenant_id,
        new_id("key"),
        name=body.name,
        hint=_hint(secret),
        permissions=set(body.permissions),
        created_by=caller.user_id,
        created_at=clock.wall(),
        valid_until=body.expires_at,
        secret_hash=hash_secret(secret),
    )
    with Transaction(caller, at=clock.tenant(caller.tenant_id)) as transaction:
        transaction.create(record)
        transaction.create(_look_up(record))
        _announce(transaction, record, creator.email)
        transaction.remember(record.key_id)
    return _issued(record, secret)


def read(caller: Caller, key_id: str) -> ApiKey:
    """Return a key; raises ApiKeyNotFoundError. One read."""
    return _describe(_find(caller, key_id, _READ))


def read_issued(caller: Caller, key_id: str) -> ApiKeyIssued:
    """Return a key as it was issued, without its secret, for a request that is repeated."""
    return _issued(_find(caller, key_id, _WRITE), None)


def list_page(caller: Caller, limit: int, cursor: str | None) -> Page[ApiKey]:
    """Return a page of the tenant's keys, or of the caller's own where it may see no others.

    One query; for own keys as many as the page takes.
    """
    owner = caller.user_id if caller.owns_only(_READ) else None
    records, following = ApiKeyRecord.page(
        caller.tenant_id, limit=limit, cursor=cursor, created_by=owner
    )
    return Page(data=[_describe(record) for record in records], next_cursor=following)


def revoke(caller: Caller, key_id: str) -> None:
    """Kill a key at once. One read, one transaction. Raises ApiKeyNotFoundError."""
    record = _find(caller, key_id, _WRITE)
    with Transaction(caller, at=clock.tenant(caller.tenant_id)) as transaction:
        unchanged = ApiKeyRecord.version == record.version
        transaction.delete(record, condition=unchanged, conflict=VersionConflictError())
        for secret_hash in filter(None, (record.secret_hash, record.previous_hash)):
            transaction.delete(KeyRecord.for_secret(secret_hash))
        event = ApiKeyRevoked(
            tenant_id=caller.tenant_id,
            occurred_at=transaction.at,
            subject=key_id,
            version=int(record.version) + 1,
            key_id=key_id,
            name=record.name,
        )
        transaction.emit(event, {"name": record.name})


def rotate(caller: Caller, key_id: str, body: RotateApiKey) -> ApiKeyIssued:
    """Give a key a new secret; the old one lives for the grace period, an older one no more.

    One read, one query, one transaction of up to seven writes. Raises ApiKeyNotFoundError and
    ApiKeyExpiredError.
    """
    record = _find(caller, key_id, _WRITE)
    now = clock.wall()
    if is_over(record.valid_until, now):
        raise ApiKeyExpiredError
    creator = accounts.of_caller(caller).user
    secret, version = _new_secret(caller), record.version
    retired, older = record.secret_hash, record.previous_hash
    record.secret_hash, record.hint, record.rotated_at = hash_secret(secret), _hint(secret), now
    record.previous_hash = retired if body.grace_seconds else None
    record.version = int(version) + 1
    with Transaction(caller, at=clock.tenant(caller.tenant_id)) as transaction:
        transaction.update(
            record,
            _rotation(record),
            condition=ApiKeyRecord.version == version,
            conflict=VersionConflictError(),
        )
        transaction.create(_look_up(record))
        _retire(transaction, record, retired, now + timedelta(seconds=body.grace_seconds))
        if older is not None:
            transaction.delete(KeyRecord.for_secret(older))
        _announce(transaction, record, creator.email)
        transaction.remember(record.key_id)
    return _issued(record, secret)


def _rotation(record: ApiKeyRecord) -> list[Action]:
    """Return the update of a key that has a new secret."""
    previous = ApiKeyRecord.previous_hash
    return [
        ApiKeyRecord.secret_hash.set(record.secret_hash),
        ApiKeyRecord.hint.set(record.hint),
        ApiKeyRecord.rotated_at.set(record.rotated_at),
        ApiKeyRecord.version.set(record.version),
        previous.set(record.previous_hash) if record.previous_hash else previous.remove(),
    ]


def _retire(transaction: Transaction, record: ApiKeyRecord, retired: str, until: datetime) -> None:
    """Let a secret's look-up end with its grace period, or at once where it has none."""
    look_up = KeyRecord.for_secret(retired)
    if record.previous_hash is None:
        transaction.delete(look_up)
        return
    ends = min(until, record.valid_until) if record.valid_until else until
    transaction.update(look_up, [KeyRecord.expires_at.set(ends)], condition=KeyRecord.pk.exists())


def _find(caller: Caller, key_id: str, permission: str) -> ApiKeyRecord:
    """Return a key that the caller may read or change; raises ApiKeyNotFoundError."""
    keys = ApiKeyRecord.at(caller.tenant_id, key_id)
    record = find(ApiKeyRecord, keys.pk, keys.sk)
    if record is None or (caller.owns_only(permission) and record.created_by != caller.user_id):
        raise ApiKeyNotFoundError
    return record


def _look_up(record: ApiKeyRecord) -> KeyRecord:
    """Return the gate's record of a key's present secret."""
    return KeyRecord.for_secret(
        record.secret_hash,
        tenant_id=record.pk,
        key_id=record.key_id,
        user_id=record.created_by,
        permissions=record.permissions,
        expires_at=record.valid_until,
    )


def _announce(transaction: Transaction, record: ApiKeyRecord, creator_email: str) -> None:
    """Add the fact that a key has a new secret."""
    event = ApiKeyCreated(
        tenant_id=transaction.tenant_id,
        occurred_at=transaction.at,
        subject=record.key_id,
        version=int(record.version),
        key_id=record.key_id,
        name=record.name,
        created_by=record.created_by,
        creator_email=creator_email,
    )
    changes = {"name": record.name, "permissions": sorted(record.permissions or ())}
    transaction.emit(event, changes)


def _new_secret(caller: Caller) -> str:
    return f"sk_{caller.mode}_{secrets.token_hex(32)}"


def _hint(secret: str) -> str:
    return f"{secret[:12]}…{secret[-4:]}"


def _describe(record: ApiKeyRecord) -> ApiKey:
    return ApiKey(
        id=record.key_id,
        name=record.name,
        hint=record.hint,
        permissions=sorted(record.permissions or ()),
        status="expired" if is_over(record.valid_until, clock.wall()) else "active",
        created_by=record.created_by,
        created_at=record.created_at,
        expires_at=record.valid_until,
        last_used_at=record.last_used_at,
        rotated_at=record.rotated_at,
    )


def _issued(record: ApiKeyRecord, secret: str | None) -> ApiKeyIssued:
    return ApiKeyIssued(**_describe(record).model_dump(), secret=secret)
