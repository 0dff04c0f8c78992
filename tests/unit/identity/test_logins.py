"""Signing in: credentials, second factors, lock-out, hashes that are renewed."""

from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from identity import accounts, passwords, sessions
from identity.errors import (
    InvalidCredentialsError,
    InvalidSecondFactorError,
    NoMembershipError,
    SignInLockedError,
    TotpRequiredError,
)
from identity.tables import MembershipRecord, TenantRecord, UserRecord
from kernel import tokens
from kernel.ids import new_tenant_id
from kernel.tables import find
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    Owner,
    Wall,
    caller_of,
    code_at,
    enable_totp,
    items,
    journal,
    log_in,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def user_of(owner: Owner) -> UserRecord:
    keys = UserRecord.at(owner.user_id)
    found = find(UserRecord, keys.pk, keys.sk)
    assert found is not None
    return found


def test_a_session_is_opened(owner: Owner) -> None:
    session = log_in()
    assert (session.token_type, session.expires_in) == ("Bearer", 900)
    assert (session.user.id, session.user.email) == (owner.user_id, EMAIL)
    assert (session.tenant.id, session.tenant.role) == (owner.tenant_id, "owner")
    claims = tokens.verify("tenant", session.access_token)
    assert (claims["sub"], claims["tid"], claims["role"]) == (
        owner.user_id,
        owner.tenant_id,
        "owner",
    )


def test_secrets_are_kept_as_hashes_only(owner: Owner) -> None:
    session = log_in()
    stored = str([items(table) for table in ("identity", "gate", "journal")])
    assert session.refresh_token not in stored
    assert session.access_token not in stored
    assert session.refresh_token[-43:] not in stored
    assert "eyJ" not in repr(session)
    assert "rt_" not in repr(session)


def test_the_audit_log_says_who_signed_in_from_where(owner: Owner) -> None:
    log_in()
    entry = journal()[-1]
    assert (entry.tenant_id, entry.audit["action"]) == (owner.tenant_id, "identity.signed_in")
    assert entry.audit["actor"] == {"type": "user", "id": owner.user_id, "ip": "203.0.113.7"}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "three unusual bird"),
        (EMAIL, PASSWORD.upper()),
        (EMAIL, f"{PASSWORD} "),
        ("eve@acme.example", PASSWORD),
    ],
)
def test_wrong_credentials_are_refused(owner: Owner, email: str, password: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        log_in(email, password=password)


def test_the_address_may_be_spelt_otherwise(owner: Owner) -> None:
    assert log_in("ADA@Acme.Example").user.id == owner.user_id


def test_the_right_password_waits_as_well(owner: Owner, wall: Wall) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentialsError):
            log_in(password="wrong")
    with pytest.raises(SignInLockedError) as locked:
        log_in()
    assert locked.value.headers["Retry-After"] == "60"
    wall.forward(seconds=60)
    log_in()


def test_signing_in_forgives_failures(owner: Owner, wall: Wall) -> None:
    for _ in range(4):
        with pytest.raises(InvalidCredentialsError):
            log_in(password="wrong")
    log_in()
    for _ in range(5):
        with pytest.raises(InvalidCredentialsError):
            log_in(password="wrong")


def test_an_imported_bcrypt_hash_is_renewed(owner: Owner) -> None:
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    user_of(owner).update(actions=[UserRecord.password_hash.set(imported)])
    with pytest.raises(InvalidCredentialsError):
        log_in(password="wrong")
    assert user_of(owner).password_hash == imported
    log_in()
    renewed = user_of(owner).password_hash
    assert renewed.startswith("$argon2id$")
    assert passwords.verify(PASSWORD, renewed)
    log_in()


def test_weaker_argon2_parameters_are_renewed(owner: Owner) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    user_of(owner).update(actions=[UserRecord.password_hash.set(weak)])
    log_in()
    assert "m=19456,t=2,p=1" in user_of(owner).password_hash


def test_a_password_that_is_changed_meanwhile_opens_nothing(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = UserRecord.password_hash.set(passwords.hash_password("the new words"))
    _before_committing(monkeypatch, lambda: user_of(owner).update(actions=[changed]))
    before = len(accounts.load(owner.user_id).sessions)
    with pytest.raises(InvalidCredentialsError):
        log_in()
    assert len(accounts.load(owner.user_id).sessions) == before


def test_the_second_factor_is_asked_for_only_after_the_right_password(owner: Owner) -> None:
    enable_totp(owner)
    with pytest.raises(InvalidCredentialsError):
        log_in(password="wrong")
    with pytest.raises(TotpRequiredError) as asked:
        log_in()
    assert (asked.value.status, asked.value.code) == (401, "identity.totp_required")


def test_being_asked_for_a_code_is_no_failure(owner: Owner) -> None:
    enable_totp(owner)
    for _ in range(10):
        with pytest.raises(TotpRequiredError):
            log_in()


def test_being_asked_for_a_code_forgives_nothing(owner: Owner, wall: Wall) -> None:
    enable_totp(owner)
    for _ in range(4):
        with pytest.raises(InvalidSecondFactorError):
            log_in(totp_code="000000")
        with pytest.raises(TotpRequiredError):
            log_in()
    with pytest.raises(InvalidSecondFactorError):
        log_in(totp_code="000000")
    with pytest.raises(SignInLockedError):
        log_in(totp_code="000000")


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_codes_of_neighbouring_steps_are_accepted(owner: Owner, wall: Wall, steps: int) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=5)
    assert log_in(totp_code=code_at(totp, steps=steps)).user.totp_enabled


@pytest.mark.parametrize("steps", [-2, 2, -100])
def test_codes_of_other_steps_are_refused(owner: Owner, wall: Wall, steps: int) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=5)
    with pytest.raises(InvalidSecondFactorError):
        log_in(totp_code=code_at(totp, steps=steps))


def test_a_code_is_accepted_once(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=5)
    code = code_at(totp)
    log_in(totp_code=code)
    wall.forward(seconds=29)
    with pytest.raises(InvalidSecondFactorError):
        log_in(totp_code=code)


def test_after_a_code_no_earlier_one_is_accepted(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=5)
    log_in(totp_code=code_at(totp, steps=1))
    for steps in (-1, 0, 1):
        with pytest.raises(InvalidSecondFactorError):
            log_in(totp_code=code_at(totp, steps=steps))


def test_the_code_that_enabled_it_does_not_sign_in(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    with pytest.raises(InvalidSecondFactorError):
        log_in(totp_code=code_at(totp))


def test_two_sign_ins_with_one_code_open_one_session(
    owner: Owner, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=5)
    code = code_at(totp)
    _before_committing(monkeypatch, lambda: log_in(totp_code=code))
    with pytest.raises(InvalidSecondFactorError):
        log_in(totp_code=code)


def test_each_recovery_code_signs_in_once(owner: Owner) -> None:
    _, codes = enable_totp(owner)
    for code in codes:
        log_in(recovery_code=code)
    assert user_of(owner).recovery_hashes is None
    for code in codes[:3]:
        with pytest.raises(InvalidSecondFactorError):
            log_in(recovery_code=code)


def test_two_sign_ins_with_one_recovery_code_open_one_session(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, codes = enable_totp(owner)
    _before_committing(monkeypatch, lambda: log_in(recovery_code=codes[0]))
    with pytest.raises(InvalidSecondFactorError):
        log_in(recovery_code=codes[0])


def test_recovery_codes_are_somebody_elses_nothing(owner: Owner) -> None:
    other = sign_up("eve@evil.example")
    _, codes = enable_totp(owner)
    enable_totp(other)
    with pytest.raises(InvalidSecondFactorError):
        log_in("eve@evil.example", recovery_code=codes[0])


def test_a_code_without_a_second_factor_is_ignored(owner: Owner) -> None:
    log_in(totp_code="123456")


def test_a_user_chooses_among_tenants(owner: Owner) -> None:
    second = _join_another_tenant(owner)
    assert log_in().tenant.id == owner.tenant_id
    chosen = log_in(tenant_id=second)
    assert (chosen.tenant.id, chosen.tenant.role) == (second, "member")
    assert caller_of(chosen).tenant_id == second


def test_another_tenant_is_refused_after_the_right_password_only(owner: Owner) -> None:
    foreign = sign_up("eve@evil.example").tenant_id
    for _ in range(6):
        with pytest.raises(NoMembershipError):
            log_in(tenant_id=foreign)
    with pytest.raises(InvalidCredentialsError):
        log_in(password="wrong", tenant_id=foreign)


def test_a_suspended_tenants_owner_can_sign_in(owner: Owner) -> None:
    TenantRecord.at(owner.tenant_id).update(actions=[TenantRecord.status.set("abuse")])
    assert log_in().tenant.status == "abuse"


def test_beyond_twenty_sessions_the_one_longest_unused_ends(owner: Owner, wall: Wall) -> None:
    oldest = caller_of(owner.session).session_id
    for _ in range(sessions.MAXIMUM + 2):
        wall.forward(minutes=1)
        log_in()
    account = accounts.load(owner.user_id)
    assert account is not None
    assert len(account.sessions) == sessions.MAXIMUM
    assert account.session(oldest) is None


def _join_another_tenant(owner: Owner) -> str:
    tenant_id = new_tenant_id("test")
    user = user_of(owner)
    MembershipRecord.at(
        owner.user_id, tenant_id, email=EMAIL, role="member", joined_at=Wall().now
    ).save()
    TenantRecord.at(
        tenant_id,
        company_name="Second",
        mode="test",
        owner_id="usr_other",
        status="active",
        plan="api_free",
        created_at=user.created_at,
        updated_at=user.created_at,
    ).save()
    return tenant_id


def _before_committing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> None:
    """Do something once between the check of the credentials and the transaction."""
    issue = sessions.issue_access_token

    def delayed(*arguments: Any) -> str:
        monkeypatch.setattr(sessions, "issue_access_token", issue)
        work()
        return issue(*arguments)

    monkeypatch.setattr(sessions, "issue_access_token", delayed)
