"""What many do at the same time, against tables that take writes one after another."""

import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from contracts.billing import Entitlements, SubscriptionChanged
from identity import (
    accounts,
    api_keys,
    attempts,
    entitlements,
    sessions,
    suspensions,
    tenants,
    verifications,
)
from identity.addresses import digest
from identity.models.api_keys import CreateApiKey, RotateApiKey
from identity.models.auth import RefreshSession, VerifyEmail
from identity.tables import AddressRecord, ApiKeyRecord, AttemptsRecord
from kernel import clock, gate
from kernel.authentication import hash_secret
from kernel.errors import VersionConflictError
from kernel.ids import new_id
from kernel.principals import Staff
from kernel.tables import find
from tests.unit.identity.scenery import (
    VISITOR,
    Wall,
    code_at,
    enable_totp,
    log_in,
    register,
    sign_up,
)

pytestmark = [pytest.mark.usefixtures("world"), pytest.mark.xdist_group("identity")]

CROWD = 12


@pytest.fixture
def email() -> str:
    return f"{uuid.uuid4().hex}@acme.example"


def at_once(works: Sequence[Callable[[], Any]]) -> tuple[list[Any], Counter[str]]:
    """Do all at the same time; return what came back, and how often which error did."""

    def attempt(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - every outcome is counted
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        outcomes = list(pool.map(attempt, works))
    errors = Counter(type(item).__name__ for item in outcomes if isinstance(item, Exception))
    return [item for item in outcomes if not isinstance(item, Exception)], errors


def test_one_link_makes_one_tenant(email: str) -> None:
    secret = register(email)
    body = VerifyEmail(token=secret)
    made, errors = at_once([lambda: verifications.verify(VISITOR, body)] * CROWD)
    assert len(made) == 1
    assert errors == {"LinkInvalidError": CROWD - 1}


def test_one_address_makes_one_tenant(email: str) -> None:
    bodies = [VerifyEmail(token=register(email)) for _ in range(CROWD)]
    made, errors = at_once([partial(verifications.verify, VISITOR, body) for body in bodies])
    assert len(made) == 1
    assert errors == {"AddressTakenError": CROWD - 1}


def test_one_refresh_token_has_one_successor(email: str) -> None:
    body = RefreshSession(refresh_token=sign_up(email).session.refresh_token)
    pairs, errors = at_once([lambda: sessions.refresh(VISITOR, body)] * CROWD)
    assert not errors
    assert len({pair.refresh_token for pair in pairs}) == 1


def test_guesses_at_once_get_five_looks_at_the_password(email: str) -> None:
    sign_up(email)
    _, errors = at_once([lambda: log_in(email, password="a wrong password")] * 30)
    assert set(errors) == {"InvalidCredentialsError", "SignInLockedError"}
    assert 1 <= errors["InvalidCredentialsError"] <= attempts.FREE_FAILURES
    stored = find(AttemptsRecord, AddressRecord.partition(digest(email)), AttemptsRecord.SK)
    assert stored is not None
    assert stored.failures == errors["InvalidCredentialsError"]


def test_one_code_opens_one_session(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = sign_up(email)
    totp, codes = enable_totp(owner)
    wall = Wall()
    monkeypatch.setattr(clock, "wall", wall)
    wall.forward(minutes=1)
    for given in ({"totp_code": code_at(totp)}, {"recovery_code": codes[0]}):
        opened, _ = at_once([partial(log_in, email, **given)] * 4)
        assert len(opened) == 1
        wall.forward(minutes=1)
    account = accounts.load(owner.user_id)
    assert account is not None
    assert len(account.sessions) == 3


def test_all_reasons_given_at_once_hold(email: str) -> None:
    owner = sign_up(email)
    staff = Staff(staff_id=new_id("stf"), session_id=new_id("ses"))

    def suspend(reason: Any) -> None:
        while True:
            try:
                suspensions.suspend(staff, owner.tenant_id, reason, "Because.")
            except VersionConflictError:
                continue
            return

    reasons = [*suspensions.GRAVITY] * 2
    random.shuffle(reasons)
    _, errors = at_once([partial(suspend, reason) for reason in reasons])
    assert not errors
    assert tenants.find(owner.tenant_id).suspensions.keys() == set(suspensions.GRAVITY)
    assert gate.read(owner.tenant_id).status == "abuse"


def test_rotations_at_once_leave_the_secrets_that_the_key_names(email: str) -> None:
    owner = sign_up(email)
    form = {"name": "Key", "permissions": ["tenant:read"]}
    key = api_keys.create(owner.caller, CreateApiKey.model_validate(form))
    body = RotateApiKey(grace_seconds=60)
    made, errors = at_once([lambda: api_keys.rotate(owner.caller, key.id, body)] * CROWD)
    assert set(errors) <= {"VersionConflictError"}
    keys = ApiKeyRecord.at(owner.tenant_id, key.id)
    record = find(ApiKeyRecord, keys.pk, keys.sk)
    assert record is not None
    assert record.version == len(made) + 1
    alive = [
        secret
        for secret in (key.secret, *(rotated.secret for rotated in made))
        if gate.find_key(hash_secret(str(secret))) is not None
    ]
    assert len(alive) == 2


def test_the_newest_entitlements_win_whoever_comes_last(email: str) -> None:
    owner = sign_up(email)
    events = [
        SubscriptionChanged(
            tenant_id=owner.tenant_id,
            occurred_at=clock.wall(),
            subject="sub_1",
            version=version,
            plan="api_starter",
            status="active",
            entitlements=Entitlements(calls_per_minute=version),
        )
        for version in range(1, CROWD + 1)
    ]
    random.shuffle(events)
    _, errors = at_once([partial(entitlements.apply, event) for event in events])
    assert not errors
    assert gate.read(owner.tenant_id).limit_key_minute == CROWD
