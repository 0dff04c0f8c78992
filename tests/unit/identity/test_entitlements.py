"""Limits in the gate, as the newest event of the subscription has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.billing import Entitlements, SubscriptionChanged
from identity import entitlements, tenants
from identity.errors import TenantNotFoundError
from kernel.tables import GateRecord, find
from tests.unit.identity.scenery import Owner, gate_of, sign_up

pytestmark = pytest.mark.usefixtures("world")

STARTER = Entitlements(calls_per_minute=60, calls_per_hour=1_000, calls_per_day=10_000)
UNLIMITED = Entitlements()
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def changed(owner: Owner, version: int, limits: Entitlements = STARTER, **fields: Any) -> None:
    event = {
        "tenant_id": owner.tenant_id,
        "occurred_at": NOON,
        "subject": "sub_1",
        "version": version,
        "plan": "api_starter",
        "status": "active",
        "entitlements": limits,
        **fields,
    }
    entitlements.apply(SubscriptionChanged.model_validate(event))


def gate(owner: Owner) -> GateRecord:
    found = find(GateRecord, owner.tenant_id, "GATE")
    assert found is not None
    return found


def test_limits_replace_the_provisional_ones(owner: Owner) -> None:
    changed(owner, 1)
    limits = gate(owner)
    assert (limits.limit_key_minute, limits.limit_key_hour, limits.limit_key_day) == (
        60,
        1_000,
        10_000,
    )
    assert limits.limit_month is None
    assert (limits.limit_user_minute, limits.limit_tenant_minute) == (100, 1_000)


def test_unlimited_removes_the_limit(owner: Owner) -> None:
    changed(owner, 1)
    changed(owner, 2, UNLIMITED)
    assert not [name for name in gate_of(owner.tenant_id) if name.startswith("limit_key")]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 3, 1), (1, 3, 2)])
def test_the_newest_version_wins_in_any_order(owner: Owner, order: tuple[int, ...]) -> None:
    for version in order:
        changed(owner, version, Entitlements(calls_per_minute=version * 10), plan=f"plan_{version}")
    assert gate(owner).limit_key_minute == 30
    assert gate(owner).entitlements_version == 3
    assert tenants.read(owner.caller).plan == "plan_3"


def test_trial_and_status_are_remembered_and_forgotten(owner: Owner) -> None:
    ends = NOON + timedelta(days=7)
    changed(owner, 1, status="trialing", trial_ends_at=ends)
    tenant = tenants.read(owner.caller)
    assert (tenant.subscription_status, tenant.trial_ends_at) == ("trialing", ends)
    changed(owner, 2, status="active")
    tenant = tenants.read(owner.caller)
    assert (tenant.subscription_status, tenant.trial_ends_at) == ("active", None)


def test_an_event_leaves_name_version_and_standing(owner: Owner) -> None:
    before = tenants.read(owner.caller)
    changed(owner, 1)
    after = tenants.read(owner.caller)
    assert (after.company_name, after.version, after.status) == (
        before.company_name,
        before.version,
        before.status,
    )


def test_counters_and_revocations_survive(owner: Owner) -> None:
    GateRecord.for_tenant(owner.tenant_id).update(
        actions=[GateRecord.revoked["usr_1"].set(1), GateRecord.clock_month.set("2027-01")]
    )
    changed(owner, 1)
    item = gate_of(owner.tenant_id)
    assert "usr_1" in item["revoked"]["M"]
    assert item["clock_month"]["S"] == "2027-01"


def test_an_event_of_an_unknown_tenant_fails_visibly(owner: Owner) -> None:
    ghost = Owner(owner.email, "tnt_test_00000000000000000000000000", owner.user_id, owner.session)
    with pytest.raises(TenantNotFoundError):
        changed(ghost, 1)
