"""The gate under real concurrency, on the emulator's DynamoDB (moto over-admits under threads)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from kernel import aws, clock, gate
from kernel.errors import MailroomError
from kernel.gate import Access
from kernel.ids import new_id
from kernel.tables import GateRecord
from local.system import System

pytestmark = pytest.mark.xdist_group("emulator")

FROZEN = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
MINUTE = int(FROZEN.timestamp()) // 60
LIMIT = 60
CALLS = 200
THREADS = 50


@pytest.fixture
def tenant_id(deployed: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tenant with a gate item of its own, in a minute that does not end."""
    for name, value in {
        "AWS_ENDPOINT_URL": deployed.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    patient = deployed.client("dynamodb")
    monkeypatch.setattr(gate, "_client", lambda: patient)
    monkeypatch.setattr(clock, "wall", lambda: FROZEN)
    identity = new_id("tnt")
    put_gate_item(patient, identity, limit_key_minute=LIMIT, limit_user_minute=5)
    yield identity
    aws.client.cache_clear()


def put_gate_item(
    client: Any, tenant_id: str, *, limit_key_minute: int, limit_user_minute: int
) -> None:
    record = GateRecord.for_tenant(
        tenant_id,
        status=gate.ACTIVE,
        limit_tenant_minute=1_000,
        limit_user_minute=limit_user_minute,
        limit_key_minute=limit_key_minute,
    )
    client.put_item(TableName=GateRecord.Meta.table_name, Item=record.serialize())


def storm(call: Any, arguments: list[Any]) -> Counter[str]:
    """Call from many threads at once; count what came of it."""

    def attempt(argument: Any) -> str:
        try:
            call(argument)
        except MailroomError as error:
            return error.problem_code
        return "admitted"

    with ThreadPoolExecutor(THREADS) as threads:
        return Counter(threads.map(attempt, arguments))


def counter(tenant_id: str, attribute: str) -> int:
    item = gate._client().get_item(
        TableName=GateRecord.Meta.table_name, Key=gate._key(tenant_id), ConsistentRead=True
    )["Item"]
    return int(item[attribute]["N"])


def test_200_concurrent_calls_against_60_admit_exactly_60(tenant_id: str) -> None:
    outcome = storm(
        lambda _: gate.admit_key(tenant_id, "key", "GET /v1/tenant", Access.CLOSED), [None] * CALLS
    )
    assert outcome == {"admitted": LIMIT, "rate.limited": CALLS - LIMIT}
    assert counter(tenant_id, f"k{MINUTE}") == LIMIT
    assert gate.count_month(tenant_id, "2026-11") == LIMIT


def test_users_are_limited_one_by_one(tenant_id: str) -> None:
    users = [f"usr_{number}" for number in range(7)]
    outcome = storm(
        lambda user: gate.admit_user(
            tenant_id, user, "ses", FROZEN.timestamp(), "GET /v1/me", Access.CLOSED
        ),
        users * 20,
    )
    assert outcome == {"admitted": 35, "rate.limited": 105}
    assert counter(tenant_id, f"t{MINUTE}") == 35


def test_without_its_condition_the_gate_admits_too_many(
    tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above have teeth: it is the condition that holds the limit."""
    patient = gate._client()

    class Careless:
        def __getattr__(self, name: str) -> Any:
            return getattr(patient, name)

        def update_item(self, **request: Any) -> Any:
            request.pop("ConditionExpression")
            used = request["UpdateExpression"]
            for part in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
                request[part] = {
                    name: value for name, value in request[part].items() if name in used
                }
            return patient.update_item(**request)

    monkeypatch.setattr(gate, "_client", Careless)
    outcome = storm(
        lambda _: gate.admit_key(tenant_id, "key", "GET /v1/tenant", Access.CLOSED), [None] * CALLS
    )
    assert outcome == {"admitted": CALLS}
