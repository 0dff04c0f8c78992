"""Changing a password that is known, and replacing one that was forgotten."""

from typing import Any

import pytest

from contracts.identity import PasswordChanged, PasswordResetRequested
from identity import password_changes, reset_requests, sessions
from identity.errors import (
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    LinkInvalidError,
    PasswordWrongError,
    SignInLockedError,
    TotpRequiredError,
    WeakPasswordError,
)
from identity.models.auth import AddressForm, RefreshSession, ResetPassword
from identity.models.me import ChangePassword
from kernel import gate
from kernel.errors import UnauthenticatedError, VersionConflictError
from kernel.gate import Access
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    VISITOR,
    Owner,
    Wall,
    caller_of,
    enable_totp,
    events,
    items,
    log_in,
    mailed_secret,
    register,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")

NEW = "four unusual birds"


@pytest.fixture
def owner(wall: Wall) -> Owner:
    signed_up = sign_up()
    wall.forward(seconds=1)
    return signed_up


def change(owner: Owner, current: str = PASSWORD, new: str = NEW) -> None:
    form = {"current_password": current, "new_password": new}
    password_changes.change(owner.caller, ChangePassword.model_validate(form))


def request_reset(email: str = EMAIL) -> str:
    reset_requests.request_reset(VISITOR, AddressForm(email=email))
    return mailed_secret()


def reset(token: str, new: str = NEW) -> None:
    form = {"token": token, "new_password": new}
    password_changes.reset(VISITOR, ResetPassword.model_validate(form))


def refresh(token: str) -> Any:
    return sessions.refresh(VISITOR, RefreshSession(refresh_token=token))


def test_a_changed_password_is_the_only_one(owner: Owner) -> None:
    change(owner)
    with pytest.raises(InvalidCredentialsError):
        log_in()
    log_in(password=NEW)


def test_changing_ends_all_other_sessions(owner: Owner, wall: Wall) -> None:
    other = log_in()
    change(owner)
    with pytest.raises(InvalidRefreshTokenError):
        refresh(other.refresh_token)
    with pytest.raises(UnauthenticatedError):
        _enter(caller_of(other), wall)
    _enter(owner.caller, wall)
    refresh(owner.session.refresh_token)


def test_changing_is_published_without_the_password(owner: Owner) -> None:
    change(owner)
    [event] = events(PasswordChanged)
    assert (event.tenant_id, event.user_id, event.email) == (owner.tenant_id, owner.user_id, EMAIL)
    assert NEW not in str(items("journal"))


def test_a_wrong_current_password_is_refused_and_counted(owner: Owner) -> None:
    for _ in range(5):
        with pytest.raises(PasswordWrongError) as refused:
            change(owner, current="wrong")
        assert refused.value.status == 403
    with pytest.raises(SignInLockedError):
        change(owner)
    with pytest.raises(SignInLockedError):
        log_in()


def test_a_weak_new_password_is_refused_and_not_counted(owner: Owner) -> None:
    for _ in range(7):
        with pytest.raises(WeakPasswordError) as refused:
            change(owner, new="password1")
        assert refused.value.errors[0].field == "body.new_password"
    log_in()


def test_two_changes_at_once_make_one(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_only = sessions.keep_only

    def delayed(*arguments: Any) -> Any:
        monkeypatch.setattr(sessions, "keep_only", keep_only)
        change(owner, new="five unusual birds")
        return keep_only(*arguments)

    monkeypatch.setattr(sessions, "keep_only", delayed)
    with pytest.raises(VersionConflictError):
        change(owner)
    log_in(password="five unusual birds")


def test_a_reset_sets_the_password_and_ends_all_sessions(owner: Owner, wall: Wall) -> None:
    token = request_reset()
    wall.forward(seconds=1)
    reset(token)
    with pytest.raises(InvalidCredentialsError):
        log_in()
    with pytest.raises(InvalidRefreshTokenError):
        refresh(owner.session.refresh_token)
    with pytest.raises(UnauthenticatedError):
        _enter(owner.caller, wall, before=1)
    wall.forward(seconds=1)
    _enter(caller_of(log_in(password=NEW)), wall)


def test_a_reset_link_works_once(owner: Owner, wall: Wall) -> None:
    token = request_reset()
    wall.forward(seconds=1)
    reset(token)
    with pytest.raises(LinkInvalidError):
        reset(token, new="six unusual birds")
    log_in(password=NEW)


def test_a_reset_link_works_for_an_hour(owner: Owner, wall: Wall) -> None:
    token = request_reset()
    wall.forward(minutes=60)
    with pytest.raises(LinkInvalidError):
        reset(token)


def test_one_reset_kills_all_other_links(owner: Owner, wall: Wall) -> None:
    first, second = request_reset(), request_reset()
    wall.forward(seconds=1)
    reset(second)
    with pytest.raises(LinkInvalidError):
        reset(first)


def test_a_changed_password_kills_reset_links(owner: Owner, wall: Wall) -> None:
    token = request_reset()
    wall.forward(seconds=1)
    change(owner)
    with pytest.raises(LinkInvalidError):
        reset(token)


def test_two_resets_at_once_make_one(
    owner: Owner, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = request_reset(), request_reset()
    wall.forward(seconds=1)
    end_everything = sessions.end_everything

    def delayed(*arguments: Any) -> Any:
        monkeypatch.setattr(sessions, "end_everything", end_everything)
        reset(second, new="seven unusual birds")
        return end_everything(*arguments)

    monkeypatch.setattr(sessions, "end_everything", delayed)
    with pytest.raises(LinkInvalidError):
        reset(first)
    log_in(password="seven unusual birds")


def test_a_weak_password_does_not_use_the_link_up(owner: Owner, wall: Wall) -> None:
    token = request_reset()
    wall.forward(seconds=1)
    with pytest.raises(WeakPasswordError):
        reset(token, new="12345678")
    reset(token)


@pytest.mark.parametrize("token", ["lnk_" + "A" * 43])
def test_a_forged_reset_link_is_refused(owner: Owner, token: str) -> None:
    with pytest.raises(LinkInvalidError):
        reset(token)


def test_a_verification_link_resets_nothing(owner: Owner) -> None:
    with pytest.raises(LinkInvalidError):
        reset(register("other@acme.example"))


def test_a_reset_ends_the_lock_out(owner: Owner, wall: Wall) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentialsError):
            log_in(password="wrong")
    token = request_reset()
    wall.forward(seconds=1)
    reset(token)
    log_in(password=NEW)


def test_a_reset_leaves_the_second_factor(owner: Owner, wall: Wall) -> None:
    enable_totp(owner)
    token = request_reset()
    wall.forward(seconds=1)
    reset(token)
    with pytest.raises(TotpRequiredError):
        log_in(password=NEW)


def test_an_unknown_address_is_mailed_nothing() -> None:
    reset_requests.request_reset(VISITOR, AddressForm(email="nobody@acme.example"))
    assert events(PasswordResetRequested) == []


def test_no_link_stands_in_the_clear(owner: Owner) -> None:
    token = request_reset()
    assert token not in str([items(table) for table in ("identity", "journal")])


def _enter(caller: Any, wall: Wall, *, before: float = 0) -> None:
    gate.admit_user(
        caller.tenant_id,
        caller.user_id,
        caller.session_id,
        wall.now.timestamp() - before,
        "GET /",
        Access.OPEN,
    )
