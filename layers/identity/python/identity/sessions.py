"""Sessions: opened at sign-in, carried on by refresh tokens, ended at once.

Access tokens live for 15 minutes. Whoever ends a session also writes `revoked.<session>` into its
tenant's gate item, in the same transaction, so its access tokens die in that moment.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from identity import accounts
from identity.accounts import Account
from identity.errors import (
    InvalidRefreshTokenError,
    NoMembershipError,
    RefreshTokenReusedError,
    SessionNotFoundError,
)
from identity.models.auth import RefreshSession, SessionTokens
from identity.models.records import Session
from identity.refresh_tokens import RefreshToken, same
from identity.tables import MembershipRecord, SessionRecord, UserRecord, is_over, lost_race
from kernel import clock, tokens
from kernel.pagination import Page
from kernel.principals import Caller, Visitor
from kernel.tables import GateRecord, find
from kernel.transactions import Transaction

SLIDING: Final = timedelta(days=7)
ABSOLUTE: Final = timedelta(days=30)
GRACE: Final = timedelta(seconds=30)
MAXIMUM: Final = 20
"""Sessions of one user; a further sign-in ends the one that was refreshed least recently."""


def open_session(
    transaction: Transaction, account: Account, tenant_id: str, session_id: str, visitor: Visitor
) -> RefreshToken:
    """Add a session to the transaction and return its first refresh token."""
    now = clock.wall()
    token = RefreshToken.first(account.user.user_id, session_id)
    transaction.create(
        SessionRecord.at(
            account.user.user_id,
            session_id,
            tenant_id=tenant_id,
            generation=account.user.generation,
            created_at=now,
            refreshed_at=now,
            ip=visitor.ip,
            user_agent=visitor.user_agent,
            family_hash=token.family_hash,
            token_hash=token.secret_hash,
            expires_at=now + SLIDING,
        )
    )
    end(transaction, account.sessions[MAXIMUM - 1 :])
    return token


def issue_access_token(user_id: str, session_id: str, membership: MembershipRecord) -> str:
    """Return an access token of a session; one KMS call."""
    claims = {
        "sub": user_id,
        "sid": session_id,
        "tid": membership.member_of,
        "role": membership.role,
    }
    return tokens.sign("tenant", claims)


def refresh(visitor: Visitor, body: RefreshSession) -> SessionTokens:
    """Use up a refresh token for a new pair. One query, one conditional write.

    Repeated within 30 s, the same token gets the same successor, without a write. Presented later,
    it ends the session (one transaction). A refresh that loses a race reads once more.
    """
    presented = RefreshToken.parse(body.refresh_token)
    account, session = _find(presented)
    if same(session.token_hash, presented.secret_hash):
        successor = _rotate(session, presented)
        if successor is None:
            account, session = _find(presented)
            successor = _repeat(session, presented)
    else:
        successor = _repeat(session, presented)
    if successor is None:
        _end_family(visitor, session)
        raise RefreshTokenReusedError
    try:
        membership = account.membership(session.tenant_id)
    except NoMembershipError as error:
        raise InvalidRefreshTokenError from error
    return SessionTokens(
        access_token=issue_access_token(session.user_id, session.session_id, membership),
        expires_in=tokens.ACCESS_SECONDS,
        refresh_token=str(successor),
    )


def log_out(caller: Caller) -> None:
    """End the caller's own session. One transaction."""
    session_id = str(caller.session_id)
    session = SessionRecord.at(caller.user_id, session_id, tenant_id=caller.tenant_id)
    with Transaction(caller) as transaction:
        end(transaction, [session])
        transaction.note("identity.signed_out", session_id)


def list_own(caller: Caller) -> Page[Session]:
    """Return the caller's living sessions, in all tenants. One query."""
    return Page(
        data=[
            Session(
                id=item.session_id,
                tenant_id=item.tenant_id,
                current=item.session_id == caller.session_id,
                ip=item.ip,
                user_agent=item.user_agent,
                created_at=item.created_at,
                refreshed_at=item.refreshed_at,
                expires_at=item.expires_at,
            )
            for item in accounts.of_caller(caller).sessions
        ]
    )


def end_one(caller: Caller, session_id: str) -> None:
    """End one of the caller's sessions; raises SessionNotFoundError. One read, one transaction."""
    keys = SessionRecord.at(caller.user_id, session_id)
    session = find(SessionRecord, keys.pk, keys.sk)
    if session is None or is_over(session.expires_at, clock.wall()):
        raise SessionNotFoundError
    with Transaction(caller, session.tenant_id) as transaction:
        end(transaction, [session])
        transaction.note("identity.session_ended", session_id)


def end_others(caller: Caller) -> None:
    """End all of the caller's sessions but the present one. One query, one transaction."""
    account = accounts.of_caller(caller)
    with Transaction(caller) as transaction:
        actions = keep_only(transaction, account, caller.session_id)
        transaction.update(
            account.user, actions, condition=UserRecord.generation == account.user.generation
        )
        transaction.note("identity.other_sessions_ended", caller.user_id)


def end(transaction: Transaction, ended: Iterable[SessionRecord]) -> None:
    """Remove sessions and revoke their access tokens, as part of a transaction."""
    dead: defaultdict[str, list[str]] = defaultdict(list)
    for session in ended:
        transaction.delete(session)
        dead[session.tenant_id].append(session.session_id)
    for tenant_id, session_ids in dead.items():
        revoke(transaction, tenant_id, session_ids)


def keep_only(transaction: Transaction, account: Account, session_id: str | None) -> list[Action]:
    """End all sessions but one; the caller adds the returned actions to the user's update.

    A session that is being opened at this moment belongs to the old generation, so it is dead too.
    """
    kept = account.session(session_id)
    generation = int(account.user.generation) + 1
    end(transaction, [item for item in account.sessions if item is not kept])
    if kept is not None:
        actions: list[Action] = [SessionRecord.generation.set(generation)]
        transaction.update(kept, actions, condition=SessionRecord.pk.exists())
    return [UserRecord.generation.set(generation)]


def end_everything(transaction: Transaction, account: Account) -> list[Action]:
    """End all sessions, and all tokens of the user in every tenant; as `keep_only` otherwise."""
    for session in account.sessions:
        transaction.delete(session)
    for membership in account.memberships:
        revoke(transaction, membership.member_of, [account.user.user_id])
    return [UserRecord.generation.set(int(account.user.generation) + 1)]


def revoke(transaction: Transaction, tenant_id: str, subject_ids: Sequence[str]) -> None:
    """Write into a tenant's gate item that the tokens of sessions or users are dead."""
    died = int(clock.wall().timestamp() * 1000)
    actions: list[Action] = [GateRecord.revoked[item].set(died) for item in subject_ids]
    transaction.update(GateRecord.for_tenant(tenant_id), actions)


def _find(presented: RefreshToken) -> tuple[Account, SessionRecord]:
    """Return the account and the session of a token whose family is known."""
    account = accounts.load(presented.user_id)
    session = account.session(presented.session_id) if account else None
    if account is None or session is None or not same(session.family_hash, presented.family_hash):
        raise InvalidRefreshTokenError
    return account, session


def _rotate(session: SessionRecord, presented: RefreshToken) -> RefreshToken | None:
    """Put the token's successor into its place; None when another request did so first."""
    now = clock.wall()
    nonce = secrets.token_urlsafe(32)
    successor = presented.successor(nonce)
    try:
        session.update(
            actions=[
                SessionRecord.token_hash.set(successor.secret_hash),
                SessionRecord.previous_hash.set(presented.secret_hash),
                SessionRecord.nonce.set(nonce),
                SessionRecord.refreshed_at.set(now),
                SessionRecord.expires_at.set(_expiry(session, now)),
            ],
            condition=SessionRecord.token_hash == presented.secret_hash,
        )
    except UpdateError as error:
        if not lost_race(error):
            raise
        return None
    return successor


def _repeat(session: SessionRecord, presented: RefreshToken) -> RefreshToken | None:
    """Return the successor that the token got within the grace period; None when that is over."""
    recent = session.refreshed_at + GRACE >= clock.wall()
    if recent and session.nonce and same(session.previous_hash, presented.secret_hash):
        return presented.successor(session.nonce)
    return None


def _end_family(visitor: Visitor, session: SessionRecord) -> None:
    """End a session of which somebody else seems to hold a token."""
    with Transaction(visitor, session.tenant_id) as transaction:
        end(transaction, [session])
        transaction.note("identity.refresh_token_reused", session.session_id)


def _expiry(session: SessionRecord, now: datetime) -> datetime:
    return min(now + SLIDING, session.created_at + ABSOLUTE)
