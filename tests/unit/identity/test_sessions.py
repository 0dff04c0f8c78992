"""Refresh tokens and their families, and sessions that end at once."""

from datetime import timedelta

import pytest

from identity import accounts, password_changes, sessions
from identity.errors import (
    InvalidRefreshTokenError,
    RefreshTokenReusedError,
    SessionNotFoundError,
)
from identity.models.auth import RefreshSession, SessionTokens
from identity.models.me import ChangePassword
from identity.refresh_tokens import RefreshToken
from identity.tables import MembershipRecord, SessionRecord
from kernel import gate
from kernel.errors import UnauthenticatedError
from kernel.gate import Access
from kernel.ids import new_id
from kernel.principals import Caller
from tests.unit.identity.scenery import (
    PASSWORD,
    VISITOR,
    Calls,
    Owner,
    Wall,
    caller_of,
    gate_of,
    items,
    journal,
    log_in,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner(wall: Wall) -> Owner:
    return sign_up()


def refresh(token: str) -> SessionTokens:
    return sessions.refresh(VISITOR, RefreshSession(refresh_token=token))


def admits(caller: Caller, *, issued_at: float) -> bool:
    """Tell whether the gate admits an access token of the caller's session."""
    try:
        gate.admit_user(
            caller.tenant_id,
            caller.user_id,
            str(caller.session_id),
            issued_at,
            "GET /",
            Access.OPEN,
        )
    except UnauthenticatedError:
        return False
    return True


def test_a_refresh_gives_a_new_pair(owner: Owner, wall: Wall) -> None:
    wall.forward(minutes=15)
    pair = refresh(owner.session.refresh_token)
    assert pair.refresh_token != owner.session.refresh_token
    assert caller_of(pair) == owner.caller


def test_the_same_token_within_the_grace_gets_the_same_successor(owner: Owner, wall: Wall) -> None:
    first = refresh(owner.session.refresh_token)
    wall.forward(seconds=30)
    again = refresh(owner.session.refresh_token)
    assert again.refresh_token == first.refresh_token
    refresh(again.refresh_token)


def test_a_repeat_within_the_grace_writes_nothing(owner: Owner, calls: Calls) -> None:
    refresh(owner.session.refresh_token)
    made = calls.during(lambda: refresh(owner.session.refresh_token))
    assert made == ["Query", "Sign"]


def test_reuse_after_the_grace_kills_the_family(owner: Owner, wall: Wall) -> None:
    stolen = owner.session.refresh_token
    successor = refresh(stolen).refresh_token
    wall.forward(seconds=31)
    with pytest.raises(RefreshTokenReusedError):
        refresh(stolen)
    for token in (stolen, successor):
        with pytest.raises(InvalidRefreshTokenError):
            refresh(token)
    assert not admits(owner.caller, issued_at=wall.now.timestamp())
    assert journal()[-1].audit["action"] == "identity.refresh_token_reused"


def test_reuse_of_a_token_two_steps_back_kills_the_family_at_once(owner: Owner) -> None:
    first = owner.session.refresh_token
    third = refresh(refresh(first).refresh_token).refresh_token
    with pytest.raises(RefreshTokenReusedError):
        refresh(first)
    with pytest.raises(InvalidRefreshTokenError):
        refresh(third)


def test_killing_one_family_leaves_the_users_other_sessions(owner: Owner, wall: Wall) -> None:
    other = log_in()
    refresh(owner.session.refresh_token)
    wall.forward(seconds=31)
    with pytest.raises(RefreshTokenReusedError):
        refresh(owner.session.refresh_token)
    refresh(other.refresh_token)
    assert admits(caller_of(other), issued_at=wall.now.timestamp())


def test_a_forged_token_around_a_known_session_harms_nobody(owner: Owner) -> None:
    caller = owner.caller
    forged = RefreshToken.first(caller.user_id, str(caller.session_id))
    with pytest.raises(InvalidRefreshTokenError):
        refresh(str(forged))
    refresh(owner.session.refresh_token)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "rt_",
        "lnk_" + "A" * 43,
        "rt_" + "A" * 117,
        "rt_" + "0" * 52 + "A" * 65 + "\n",
        "rt_" + "0" * 52 + "ä" * 65,
        "sk_live_" + "0" * 64,
    ],
)
def test_what_is_no_refresh_token_is_refused(owner: Owner, token: str) -> None:
    with pytest.raises(InvalidRefreshTokenError):
        refresh(token)


def test_a_token_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidRefreshTokenError):
        refresh(str(RefreshToken.first(new_id("usr"), new_id("ses"))))


def test_a_changed_character_is_refused(owner: Owner) -> None:
    token = owner.session.refresh_token
    for position in (5, 40, 60):
        other = "1" if token[position] != "1" else "2"
        with pytest.raises(InvalidRefreshTokenError):
            refresh(token[:position] + other + token[position + 1 :])
    refresh(token)


def test_a_week_without_refresh_ends_a_session(owner: Owner, wall: Wall) -> None:
    wall.forward(days=7)
    with pytest.raises(InvalidRefreshTokenError):
        refresh(owner.session.refresh_token)


def test_each_refresh_gives_another_week_up_to_thirty_days(owner: Owner, wall: Wall) -> None:
    token = owner.session.refresh_token
    for _ in range(4):
        wall.forward(days=6)
        token = refresh(token).refresh_token
    wall.forward(days=5)
    token = refresh(token).refresh_token
    wall.forward(days=1)
    with pytest.raises(InvalidRefreshTokenError):
        refresh(token)


def test_a_refresh_carries_the_present_role(owner: Owner) -> None:
    membership = MembershipRecord.at(owner.user_id, owner.tenant_id)
    membership.update(actions=[MembershipRecord.role.set("viewer")])
    pair = refresh(owner.session.refresh_token)
    assert caller_of(pair).role == "viewer"


def test_without_a_membership_there_is_no_refresh(owner: Owner) -> None:
    MembershipRecord.at(owner.user_id, owner.tenant_id).delete()
    with pytest.raises(InvalidRefreshTokenError):
        refresh(owner.session.refresh_token)


def test_two_refreshes_at_once_get_the_same_successor(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, won = owner.session.refresh_token, []
    rotate = sessions._rotate

    def delayed(session: SessionRecord, presented: RefreshToken) -> RefreshToken | None:
        monkeypatch.setattr(sessions, "_rotate", rotate)
        won.append(refresh(token).refresh_token)
        return rotate(session, presented)

    monkeypatch.setattr(sessions, "_rotate", delayed)
    assert refresh(token).refresh_token == won[0]


def test_neither_the_database_nor_an_old_token_alone_tells_the_next(owner: Owner) -> None:
    refresh(owner.session.refresh_token)
    [record] = SessionRecord.query(f"USER#{owner.user_id}", SessionRecord.sk.startswith("SESSION#"))
    old = RefreshToken.parse(owner.session.refresh_token)
    assert record.token_hash == old.successor(str(record.nonce)).secret_hash
    assert record.token_hash != old.successor("").secret_hash
    assert old.secret not in str(items())
    assert old.family not in str(items())


def test_logging_out_ends_the_session_at_once(owner: Owner, wall: Wall) -> None:
    sessions.log_out(owner.caller)
    assert not admits(owner.caller, issued_at=wall.now.timestamp() - 1)
    assert not admits(owner.caller, issued_at=wall.now.timestamp() + 60)
    with pytest.raises(InvalidRefreshTokenError):
        refresh(owner.session.refresh_token)
    assert owner.caller.session_id in gate_of(owner.tenant_id)["revoked"]["M"]


def test_logging_out_twice_is_harmless(owner: Owner) -> None:
    sessions.log_out(owner.caller)
    sessions.log_out(owner.caller)


def test_sessions_are_listed_with_the_present_one_marked(owner: Owner, wall: Wall) -> None:
    wall.forward(minutes=1)
    other = caller_of(log_in())
    listed = sessions.list_own(owner.caller)
    assert [(item.id, item.current) for item in listed.data] == [
        (other.session_id, False),
        (owner.caller.session_id, True),
    ]
    assert listed.data[0].ip == VISITOR.ip
    assert listed.next_cursor is None


def test_sessions_that_are_over_are_not_listed(owner: Owner, wall: Wall) -> None:
    wall.forward(days=6)
    fresh = caller_of(log_in())
    wall.forward(days=2)
    assert [item.id for item in sessions.list_own(fresh).data] == [fresh.session_id]


def test_ending_another_session_kills_its_tokens_at_once(owner: Owner, wall: Wall) -> None:
    other = log_in()
    sessions.end_one(owner.caller, str(caller_of(other).session_id))
    assert not admits(caller_of(other), issued_at=wall.now.timestamp())
    with pytest.raises(InvalidRefreshTokenError):
        refresh(other.refresh_token)
    assert admits(owner.caller, issued_at=wall.now.timestamp())


@pytest.mark.parametrize("times", [1, 2])
def test_a_session_can_be_ended_once(owner: Owner, times: int) -> None:
    session_id = str(caller_of(log_in()).session_id)
    sessions.end_one(owner.caller, session_id)
    with pytest.raises(SessionNotFoundError):
        sessions.end_one(owner.caller, session_id)


def test_somebody_elses_session_is_not_found(owner: Owner) -> None:
    eve = sign_up("eve@evil.example")
    with pytest.raises(SessionNotFoundError):
        sessions.end_one(eve.caller, str(owner.caller.session_id))
    refresh(owner.session.refresh_token)


def test_ending_the_others_leaves_the_present_one(owner: Owner, wall: Wall) -> None:
    others = [log_in() for _ in range(3)]
    sessions.end_others(owner.caller)
    for other in others:
        assert not admits(caller_of(other), issued_at=wall.now.timestamp())
        with pytest.raises(InvalidRefreshTokenError):
            refresh(other.refresh_token)
    assert admits(owner.caller, issued_at=wall.now.timestamp())
    refresh(owner.session.refresh_token)
    assert len(sessions.list_own(owner.caller).data) == 1


def test_a_session_opened_while_all_others_end_is_dead(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not in the list that was read, but belongs to the old generation."""
    late = []
    keep_only = sessions.keep_only

    def delayed(*arguments: object) -> object:
        late.append(log_in())
        return keep_only(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "keep_only", delayed)
    password_changes.change(
        owner.caller,
        ChangePassword.model_validate(
            {"current_password": PASSWORD, "new_password": "four unusual birds"}
        ),
    )
    with pytest.raises(InvalidRefreshTokenError):
        refresh(late[0].refresh_token)
    refresh(owner.session.refresh_token)


def test_all_sessions_fit_into_one_transaction(owner: Owner, wall: Wall) -> None:
    for _ in range(sessions.MAXIMUM):
        wall.forward(seconds=1)
        last = log_in()
    sessions.end_others(caller_of(last))
    account = accounts.load(owner.user_id)
    assert account is not None
    assert len(account.sessions) == 1


def test_the_expiry_is_kept_as_ttl(owner: Owner, wall: Wall) -> None:
    [session] = [item for item in items() if item.get("kind", {}).get("S") == "session"]
    expires = int(session["expires_at"]["N"])
    assert expires == int((wall.now + timedelta(days=7)).timestamp())
