"""Who calls: a user, a key; what remains of a trial."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.billing import Entitlements, SubscriptionChanged
from identity import entitlements, profiles
from identity.models.me import UpdateMe
from identity.tables import UserRecord
from kernel.errors import UnauthenticatedError
from kernel.ids import new_id
from kernel.principals import Caller
from kernel.tables import ClockRecord
from tests.unit.identity.scenery import EMAIL, Owner, enable_totp, log_in, sign_up

pytestmark = pytest.mark.usefixtures("world")

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def subscribe(owner: Owner, *, status: str, trial_ends_at: datetime | None) -> None:
    entitlements.apply(
        SubscriptionChanged.model_validate(
            {
                "tenant_id": owner.tenant_id,
                "occurred_at": NOON,
                "subject": "sub_1",
                "version": 1,
                "plan": "api_starter",
                "status": status,
                "trial_ends_at": trial_ends_at,
                "entitlements": Entitlements(),
            }
        )
    )


def test_a_user_is_described_with_tenant_and_permissions(owner: Owner) -> None:
    me = profiles.read(owner.caller)
    assert me.user is not None
    assert (me.user.id, me.user.email) == (owner.user_id, EMAIL)
    assert (me.role, me.tenant.id, me.tenant.status) == ("owner", owner.tenant_id, "active")
    assert "billing:write" in me.permissions
    assert me.permissions == sorted(me.permissions)
    assert me.session_id == owner.caller.session_id
    assert me.api_key_id is None
    assert [membership.tenant_id for membership in me.memberships] == [owner.tenant_id]


def test_recovery_codes_are_counted_down(owner: Owner) -> None:
    _, codes = enable_totp(owner)
    log_in(recovery_code=codes[0])
    user = profiles.read(owner.caller).user
    assert user is not None
    assert (user.totp_enabled, user.recovery_codes_left) == (True, 9)


def test_a_key_is_described_without_a_user(owner: Owner) -> None:
    key = Caller(
        tenant_id=owner.tenant_id,
        user_id=owner.user_id,
        kind="api_key",
        api_key_id=new_id("key"),
        permissions=frozenset({"tenant:read"}),
    )
    me = profiles.read(key)
    assert (me.user, me.role, me.session_id, me.memberships) == (None, None, None, [])
    assert me.api_key_id == key.api_key_id
    assert me.permissions == ["tenant:read"]


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=7), 7),
        (timedelta(days=6, hours=23, minutes=59), 7),
        (timedelta(days=3), 3),
        (timedelta(microseconds=1), 1),
        (timedelta(0), 0),
        (timedelta(days=-3), 0),
    ],
)
def test_days_that_have_begun_are_counted(left: timedelta, days: int) -> None:
    assert profiles.days_remaining(NOON + left, NOON) == days


@pytest.mark.parametrize(
    ("status", "days"), [("trialing", 7), ("active", None), ("suspended", None)]
)
def test_only_a_trial_has_days_remaining(owner: Owner, status: str, days: int | None) -> None:
    ends = datetime.now(UTC) + timedelta(days=7)
    subscribe(owner, status=status, trial_ends_at=ends)
    me = profiles.read(owner.caller)
    assert me.trial_days_remaining == days
    assert me.trial_ends_at == (ends if days else None)


def test_a_test_tenants_days_follow_its_clock(owner: Owner) -> None:
    ends = datetime.now(UTC) + timedelta(days=7)
    subscribe(owner, status="trialing", trial_ends_at=ends)
    ClockRecord.for_tenant(owner.tenant_id, now=ends - timedelta(days=3)).save()
    assert profiles.read(owner.caller).trial_days_remaining == 3


def test_before_billing_has_begun_there_is_no_trial(owner: Owner) -> None:
    assert profiles.read(owner.caller).trial_days_remaining is None


def test_a_user_is_renamed(owner: Owner) -> None:
    me = profiles.update(owner.caller, UpdateMe(name="  Ada Example "))
    assert me.user is not None
    assert me.user.name == "Ada Example"
    assert log_in().user.name == "Ada Example"


def test_a_user_who_is_gone_is_nobody(owner: Owner) -> None:
    UserRecord.at(owner.user_id).delete()
    with pytest.raises(UnauthenticatedError):
        profiles.read(owner.caller)
    with pytest.raises(UnauthenticatedError):
        profiles.update(owner.caller, UpdateMe(name="Ghost"))
