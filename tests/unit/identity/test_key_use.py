"""When keys were last used, from changes of the gate's item."""

from typing import Any

import pytest

from identity import api_keys, key_use
from identity.models.api_keys import ApiKeyIssued, CreateApiKey
from kernel import gate
from kernel.gate import Access
from kernel.ids import new_id
from kernel.triggers import StreamRecord
from tests.unit.identity.scenery import Calls, Owner, Wall, gate_of, sign_up

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner(wall: Wall) -> Owner:
    return sign_up()


@pytest.fixture
def key(owner: Owner) -> ApiKeyIssued:
    form = {"name": "Production", "permissions": ["tenant:read"]}
    return api_keys.create(owner.caller, CreateApiKey.model_validate(form))


def change(owner: Owner, call: Any) -> StreamRecord:
    """Return the stream's record of what a call changes in the gate's item."""
    old = gate_of(owner.tenant_id)
    call()
    new = gate_of(owner.tenant_id)
    return StreamRecord("MODIFY", {"pk": new["pk"], "sk": new["sk"]}, old, new)


def use(owner: Owner, key_id: str) -> StreamRecord:
    return change(
        owner, lambda: gate.admit_key(owner.tenant_id, key_id, "GET /v1/tenant", Access.CLOSED)
    )


def call_as_user(owner: Owner) -> StreamRecord:
    caller = owner.caller
    return change(
        owner,
        lambda: gate.admit_user(
            caller.tenant_id, caller.user_id, str(caller.session_id), 2e9, "GET /", Access.CLOSED
        ),
    )


def last_used(owner: Owner, key: ApiKeyIssued) -> Any:
    return api_keys.read(owner.caller, key.id).last_used_at


def test_a_call_marks_its_key(owner: Owner, key: ApiKeyIssued, wall: Wall) -> None:
    key_use.record([use(owner, key.id)])
    assert last_used(owner, key) == wall.now.replace(microsecond=0)


def test_a_users_call_marks_no_key(owner: Owner, key: ApiKeyIssued, wall: Wall) -> None:
    key_use.record([use(owner, key.id)])
    before = last_used(owner, key)
    wall.forward(minutes=5)
    key_use.record([call_as_user(owner)])
    assert last_used(owner, key) == before


def test_a_batch_marks_each_key_once(owner: Owner, key: ApiKeyIssued, calls: Calls) -> None:
    records = [use(owner, key.id) for _ in range(5)]
    assert calls.during(lambda: key_use.record(records)) == ["UpdateItem"]


def test_a_key_is_marked_once_a_minute(owner: Owner, key: ApiKeyIssued, wall: Wall) -> None:
    key_use.record([use(owner, key.id)])
    first = last_used(owner, key)
    wall.forward(seconds=59)
    key_use.record([use(owner, key.id)])
    assert last_used(owner, key) == first
    wall.forward(seconds=1)
    key_use.record([use(owner, key.id)])
    assert last_used(owner, key) > first


def test_keys_of_one_batch_are_told_apart(owner: Owner, key: ApiKeyIssued) -> None:
    other = api_keys.create(
        owner.caller, CreateApiKey.model_validate({"name": "B", "permissions": ["tenant:read"]})
    )
    key_use.record([use(owner, key.id), use(owner, other.id), use(owner, key.id)])
    assert last_used(owner, key)
    assert last_used(owner, other)


def test_a_key_that_is_gone_is_not_made_again(owner: Owner, key: ApiKeyIssued) -> None:
    record = use(owner, key.id)
    api_keys.revoke(owner.caller, key.id)
    key_use.record([record])
    assert api_keys.list_page(owner.caller, 10, None).data == []


def test_other_items_of_the_table_are_passed_over(owner: Owner, calls: Calls) -> None:
    look_up = {"pk": {"S": "KEYHASH#1"}, "sk": {"S": "KEY"}, "kind": {"S": "key"}}
    limit = {"pk": {"S": "LIMIT#ip#1"}, "sk": {"S": "WINDOW#1"}, "kind": {"S": "limit"}}
    gone = gate_of(owner.tenant_id)
    records = [
        StreamRecord("INSERT", look_up, None, look_up),
        StreamRecord("MODIFY", limit, limit, limit),
        StreamRecord("REMOVE", look_up, look_up, None),
        StreamRecord("INSERT", {"pk": gone["pk"], "sk": gone["sk"]}, None, gone),
    ]
    assert calls.during(lambda: key_use.record(records)) == []


def test_an_unknown_key_harms_nobody(owner: Owner) -> None:
    key_use.record([use(owner, new_id("key"))])
