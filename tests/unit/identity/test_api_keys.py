"""API keys: created, scoped, listed, rotated, revoked; each with its look-up in the gate."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.identity import ApiKeyCreated, ApiKeyRevoked
from identity import api_keys
from identity.errors import ApiKeyExpiredError, ApiKeyNotFoundError, PermissionsExceedError
from identity.models.api_keys import ApiKeyIssued, CreateApiKey, RotateApiKey
from identity.tables import ApiKeyRecord
from kernel import gate
from kernel.authentication import hash_secret
from kernel.errors import UnprocessableError, VersionConflictError
from kernel.ids import new_id
from kernel.principals import Caller
from kernel.tables import KeyRecord
from tests.unit.identity.scenery import (
    EMAIL,
    Owner,
    Wall,
    events,
    items,
    member_of,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def create(caller: Caller, **fields: Any) -> ApiKeyIssued:
    form = {"name": "Production", "permissions": ["tenant:read"], **fields}
    return api_keys.create(caller, CreateApiKey.model_validate(form))


def rotate(caller: Caller, key_id: str, grace_seconds: int = 0) -> ApiKeyIssued:
    return api_keys.rotate(caller, key_id, RotateApiKey(grace_seconds=grace_seconds))


def look_up(secret: str | None) -> KeyRecord | None:
    found = gate.find_key(hash_secret(str(secret)))
    return None if found is None or found.has_expired else found


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_secret_tells_its_mode_and_has_256_bits(mode: str) -> None:
    key = create(sign_up(mode=mode).caller)
    secret = str(key.secret)
    assert secret.startswith(f"sk_{mode}_")
    assert len(secret) == len(f"sk_{mode}_") + 64
    assert key.hint == f"{secret[:12]}…{secret[-4:]}"


def test_a_key_is_found_by_its_secrets_hash(owner: Owner) -> None:
    key = create(owner.caller, permissions=["tenant:read", "usage:read"])
    found = look_up(key.secret)
    assert found is not None
    assert (found.tenant_id, found.key_id, found.user_id) == (
        owner.tenant_id,
        key.id,
        owner.user_id,
    )
    assert found.permissions == {"tenant:read", "usage:read"}


def test_the_secret_is_stored_nowhere(owner: Owner) -> None:
    key = create(owner.caller)
    stored = str([items(table) for table in ("identity", "gate", "journal")])
    assert str(key.secret) not in stored
    assert str(key.secret) not in repr(key)
    assert "secret" not in api_keys.read(owner.caller, key.id).model_dump()


def test_creating_is_published(owner: Owner) -> None:
    key = create(owner.caller)
    [event] = events(ApiKeyCreated)
    assert (event.key_id, event.name, event.creator_email) == (key.id, "Production", EMAIL)


@pytest.mark.parametrize(
    ("role", "wanted", "allowed"),
    [
        ("owner", ["billing:read", "usage:read"], True),
        ("developer", ["tenant:read", "usage:read"], True),
        ("developer", ["billing:read"], False),
        ("member", ["tenant:read"], True),
        ("member", ["usage:read"], False),
        ("member", ["tenant:read", "members:read"], False),
    ],
)
def test_a_key_holds_at_most_what_its_creator_holds(
    owner: Owner, role: str, wanted: list[str], allowed: bool
) -> None:
    creator = owner.caller if role == "owner" else _with_role(owner, role)
    if allowed:
        assert create(creator, permissions=wanted).permissions == wanted
    else:
        with pytest.raises(PermissionsExceedError):
            create(creator, permissions=wanted)


@pytest.mark.parametrize(
    "permissions",
    [
        [],
        ["api_keys:write"],
        ["*"],
        ["tenant:read", "billing:write"],
        ["tenant:read:own"],
        [1],
        "x",
        None,
    ],
)
def test_permissions_that_no_key_can_hold_are_refused(permissions: object) -> None:
    with pytest.raises(ValidationError):
        CreateApiKey.model_validate({"name": "x", "permissions": permissions})


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 121, "\x00", None, 5, ["x"]])
def test_names_that_nobody_can_read_are_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        CreateApiKey.model_validate({"name": name, "permissions": ["tenant:read"]})


def test_a_key_that_expires_is_refused_from_then_on_and_still_listed(
    owner: Owner, wall: Wall
) -> None:
    expires = wall.now + timedelta(days=1)
    key = create(owner.caller, expires_at=expires)
    [stored] = [item for item in items("gate") if item["kind"]["S"] == "key"]
    assert int(stored["expires_at"]["N"]) == int(expires.timestamp())
    assert api_keys.read(owner.caller, key.id).status == "active"
    wall.forward(days=1)
    assert api_keys.read(owner.caller, key.id).status == "expired"


def test_a_key_cannot_expire_in_the_past(owner: Owner) -> None:
    with pytest.raises(UnprocessableError) as refused:
        create(owner.caller, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert refused.value.errors[0].field == "body.expires_at"


@pytest.mark.parametrize("moment", ["2027-01-01T00:00:00", "tomorrow", 1e400, ""])
def test_times_without_a_zone_and_nonsense_are_refused(moment: object) -> None:
    with pytest.raises(ValidationError):
        CreateApiKey.model_validate(
            {"name": "x", "permissions": ["tenant:read"], "expires_at": moment}
        )


def test_lists_are_newest_first_and_paged(owner: Owner) -> None:
    created = [create(owner.caller, name=f"Key {number}").id for number in range(5)]
    seen, cursor = [], None
    for _ in range(5):
        page = api_keys.list_page(owner.caller, 2, cursor)
        seen += [key.id for key in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == created[::-1]


def test_members_see_their_own_keys_only(owner: Owner) -> None:
    member = _with_role(owner, "member")
    mine = [create(member, name=f"Mine {number}").id for number in range(3)]
    theirs = [create(owner.caller).id for _ in range(4)]
    seen, cursor = [], None
    while True:
        page = api_keys.list_page(member, 2, cursor)
        seen += [key.id for key in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == mine[::-1]
    for key_id in theirs:
        with pytest.raises(ApiKeyNotFoundError):
            api_keys.read(member, key_id)
        with pytest.raises(ApiKeyNotFoundError):
            api_keys.revoke(member, key_id)
        with pytest.raises(ApiKeyNotFoundError):
            rotate(member, key_id)


def test_another_tenants_key_is_not_found(owner: Owner) -> None:
    key = create(owner.caller)
    eve = sign_up("eve@evil.example").caller
    with pytest.raises(ApiKeyNotFoundError):
        api_keys.read(eve, key.id)
    with pytest.raises(ApiKeyNotFoundError):
        api_keys.read_issued(eve, key.id)
    with pytest.raises(ApiKeyNotFoundError):
        api_keys.revoke(eve, key.id)
    with pytest.raises(ApiKeyNotFoundError):
        rotate(eve, key.id)
    assert api_keys.list_page(eve, 10, None).data == []
    assert look_up(key.secret) is not None


def test_an_unknown_key_is_not_found(owner: Owner) -> None:
    with pytest.raises(ApiKeyNotFoundError):
        api_keys.read(owner.caller, new_id("key"))


def test_a_revoked_key_is_dead_at_once(owner: Owner) -> None:
    key = create(owner.caller)
    api_keys.revoke(owner.caller, key.id)
    assert look_up(key.secret) is None
    with pytest.raises(ApiKeyNotFoundError):
        api_keys.revoke(owner.caller, key.id)
    [event] = events(ApiKeyRevoked)
    assert (event.key_id, event.version) == (key.id, 2)


def test_a_rotated_key_has_a_new_secret_and_the_old_is_dead(owner: Owner) -> None:
    key = create(owner.caller)
    rotated = rotate(owner.caller, key.id)
    assert rotated.id == key.id
    assert rotated.secret != key.secret
    assert look_up(key.secret) is None
    assert look_up(rotated.secret) is not None
    assert rotated.rotated_at is not None


def test_within_the_grace_both_secrets_live(owner: Owner) -> None:
    key = create(owner.caller)
    before = datetime.now(UTC)
    rotated = rotate(owner.caller, key.id, 3_600)
    old = look_up(key.secret)
    assert old is not None
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - before <= timedelta(minutes=61)
    new = look_up(rotated.secret)
    assert new is not None
    assert new.expires_at is None


def test_the_grace_never_outlives_the_key(owner: Owner) -> None:
    expires = (datetime.now(UTC) + timedelta(minutes=10)).replace(microsecond=0)
    key = create(owner.caller, expires_at=expires)
    rotate(owner.caller, key.id, 3_600)
    old = look_up(key.secret)
    assert old is not None
    assert old.expires_at == expires


def test_rotating_again_ends_the_oldest_secret(owner: Owner) -> None:
    first = create(owner.caller)
    second = rotate(owner.caller, first.id, 3_600)
    third = rotate(owner.caller, first.id, 3_600)
    assert look_up(first.secret) is None
    assert look_up(second.secret) is not None
    assert look_up(third.secret) is not None


def test_revoking_kills_the_secret_in_its_grace_too(owner: Owner) -> None:
    first = create(owner.caller)
    second = rotate(owner.caller, first.id, 3_600)
    api_keys.revoke(owner.caller, first.id)
    assert look_up(first.secret) is None
    assert look_up(second.secret) is None
    assert not [item for item in items("gate") if item["kind"]["S"] == "key"]


def test_an_expired_key_cannot_be_rotated(owner: Owner, wall: Wall) -> None:
    key = create(owner.caller, expires_at=wall.now + timedelta(days=1))
    wall.forward(days=1)
    with pytest.raises(ApiKeyExpiredError):
        rotate(owner.caller, key.id)


def test_rotating_is_published_with_a_higher_version(owner: Owner) -> None:
    key = create(owner.caller)
    rotate(owner.caller, key.id)
    assert [(event.key_id, event.version) for event in events(ApiKeyCreated)] == [
        (key.id, 1),
        (key.id, 2),
    ]


@pytest.mark.parametrize("other", ["revoke", "rotate"])
def test_of_two_changes_at_once_one_wins(
    owner: Owner, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create(owner.caller)
    new_secret = api_keys._new_secret

    def meanwhile(caller: Caller) -> str:
        monkeypatch.setattr(api_keys, "_new_secret", new_secret)
        if other == "revoke":
            api_keys.revoke(owner.caller, key.id)
        else:
            rotate(owner.caller, key.id)
        return new_secret(caller)

    monkeypatch.setattr(api_keys, "_new_secret", meanwhile)
    with pytest.raises(VersionConflictError):
        rotate(owner.caller, key.id)
    records = list(ApiKeyRecord.query(owner.tenant_id, ApiKeyRecord.sk.startswith("API_KEY#")))
    hashes = {item["pk"]["S"] for item in items("gate") if item["kind"]["S"] == "key"}
    assert hashes == {f"KEYHASH#{record.secret_hash}" for record in records}


@pytest.mark.parametrize("grace", [-1, 86_401, 1.5, "60", None, True])
def test_a_grace_beyond_a_day_is_refused(grace: object) -> None:
    with pytest.raises(ValidationError):
        RotateApiKey.model_validate({"grace_seconds": grace})


def _with_role(owner: Owner, role: str) -> Caller:
    """Return another user of the tenant who really exists."""
    from identity.tables import UserRecord

    other = member_of(owner, role=role)
    now = datetime.now(UTC)
    UserRecord.at(
        other.user_id,
        email=f"{role}@acme.example",
        password_hash="-",
        password_changed_at=now,
        created_at=now,
    ).save()
    return other
