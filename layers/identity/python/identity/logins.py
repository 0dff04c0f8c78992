"""Signing in with address, password and, where enabled, a second factor."""

from dataclasses import asdict

from identity import accounts, attempts, passwords, second_factors, sessions, tenants
from identity.accounts import Account
from identity.addresses import digest
from identity.attempts import Attempt
from identity.errors import (
    InvalidCredentialsError,
    InvalidSecondFactorError,
    NoMembershipError,
    TotpRequiredError,
)
from identity.models.auth import LoggedIn, LogIn, SignedInTenant, SignedInUser
from identity.second_factors import Use
from identity.tables import AddressRecord, MembershipRecord, UserRecord
from kernel import tokens
from kernel.ids import new_id
from kernel.principals import Caller, Visitor
from kernel.transactions import Transaction


def log_in(visitor: Visitor, body: LogIn) -> LoggedIn:
    """Open a session. Two queries, one write, one read, one transaction.

    An unknown address costs what a wrong password costs: two queries, one write, one hash. A right
    password without the code that it needs is no failure, so the attempt is taken back.
    """
    address_digest = digest(body.email)
    address, known = accounts.find_address(address_digest)
    attempt = attempts.begin(AddressRecord.partition(address_digest), known)
    account = accounts.load(address.user_id if address else accounts.NOBODY)
    password = body.password.get_secret_value()
    password_hash = account.user.password_hash if account else passwords.NOBODYS_HASH
    if not passwords.verify(password, password_hash) or account is None:
        raise InvalidCredentialsError
    with attempt.excusing(TotpRequiredError, NoMembershipError):
        use = second_factors.use(
            account.user, body.totp_code, body.recovery_code, InvalidSecondFactorError
        )
        membership = account.membership(body.tenant_id)
    return _open(visitor, account, membership, password, use, attempt)


def _open(
    visitor: Visitor,
    account: Account,
    membership: MembershipRecord,
    password: str,
    use: Use,
    attempt: Attempt,
) -> LoggedIn:
    user, session_id = account.user, new_id("ses")
    tenant = tenants.find(membership.member_of)
    caller = Caller(
        **asdict(visitor),
        tenant_id=membership.member_of,
        user_id=user.user_id,
        session_id=session_id,
        role=membership.role,
    )
    access_token = sessions.issue_access_token(user.user_id, session_id, membership)
    with Transaction(caller) as transaction:
        token = sessions.open_session(
            transaction, account, membership.member_of, session_id, visitor
        )
        _update_user(transaction, user, password, use)
        attempt.forgive(transaction)
        transaction.note("identity.signed_in", user.user_id, {"session": session_id})
    return LoggedIn(
        access_token=access_token,
        expires_in=tokens.ACCESS_SECONDS,
        refresh_token=str(token),
        user=SignedInUser(
            id=user.user_id,
            email=user.email,
            name=user.name,
            totp_enabled=user.totp_sealed is not None,
        ),
        tenant=SignedInTenant(
            id=tenant.tenant_id,
            company_name=tenant.company_name,
            mode=tenant.mode,
            status=tenant.status,
            role=membership.role,
        ),
    )


def _update_user(transaction: Transaction, user: UserRecord, password: str, use: Use) -> None:
    """Require that password and code are still good; use up the code, renew an outdated hash."""
    condition = UserRecord.password_hash == user.password_hash
    actions = list(use.actions)
    if use.condition is not None:
        condition &= use.condition
    if passwords.is_outdated(user.password_hash):
        actions.append(UserRecord.password_hash.set(passwords.hash_password(password)))
    if actions:
        transaction.update(user, actions, condition=condition, conflict=InvalidSecondFactorError())
    else:
        transaction.check(user, condition, conflict=InvalidCredentialsError())
