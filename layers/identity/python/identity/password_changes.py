"""Changing a password that is known, and replacing one that was forgotten."""

from collections.abc import Sequence

from pynamodb.expressions.update import Action

from contracts.events import PLATFORM
from contracts.identity import PasswordChanged
from identity import accounts, links, passwords, sessions
from identity.accounts import Account
from identity.confirmation import confirm
from identity.errors import LinkInvalidError, WeakPasswordError
from identity.links import Purpose
from identity.models.auth import ResetPassword
from identity.models.me import ChangePassword
from identity.tables import AddressRecord, AttemptsRecord, UserRecord
from kernel import clock
from kernel.errors import MailroomError, VersionConflictError
from kernel.principals import Caller, Visitor
from kernel.transactions import CHANGED, Transaction


def change(caller: Caller, body: ChangePassword) -> None:
    """Replace the caller's password and end all other sessions.

    Two queries, one write, one transaction. Raises PasswordWrongError, SignInLockedError and
    WeakPasswordError.
    """
    account, attempt = confirm(caller, body.current_password.get_secret_value())
    password = body.new_password.get_secret_value()
    with attempt.excusing(WeakPasswordError):
        passwords.refuse_weak(password, about=[account.user.email], field="new_password")
    with Transaction(caller, at=clock.tenant(caller.tenant_id)) as transaction:
        actions = sessions.keep_only(transaction, account, caller.session_id)
        _replace(transaction, account, password, actions, conflict=VersionConflictError())
        attempt.forgive(transaction)


def reset(visitor: Visitor, body: ResetPassword) -> None:
    """Replace a forgotten password, end all sessions and forgive failed attempts.

    One read, one query, one transaction. A link dies with the password that it was to replace.
    Raises LinkInvalidError and WeakPasswordError.
    """
    link = links.follow(body.token, Purpose.RESET)
    account = accounts.load(link.subject)
    if account is None or link.created_at <= account.user.password_changed_at:
        raise LinkInvalidError
    password = body.new_password.get_secret_value()
    passwords.refuse_weak(password, about=[account.user.email], field="new_password")
    tenant_ids = [membership.member_of for membership in account.memberships]
    tenant_id = tenant_ids[0] if tenant_ids else PLATFORM
    at = clock.tenant(tenant_id)
    with Transaction(visitor, tenant_id, at=at) as transaction:
        links.use_up(transaction, link)
        actions = sessions.end_everything(transaction, account)
        _replace(transaction, account, password, actions, conflict=LinkInvalidError())
        partition = AddressRecord.partition(link.address_digest)
        transaction.delete(AttemptsRecord(partition, AttemptsRecord.SK))


def _replace(
    transaction: Transaction,
    account: Account,
    password: str,
    actions: Sequence[Action],
    *,
    conflict: MailroomError,
) -> None:
    """Add the user's new password and the fact to a transaction; one at a time wins."""
    user = account.user
    changes = [
        *actions,
        UserRecord.password_hash.set(passwords.hash_password(password)),
        UserRecord.password_changed_at.set(clock.wall()),
    ]
    unchanged = UserRecord.generation == user.generation
    transaction.update(user, changes, condition=unchanged, conflict=conflict)
    event = PasswordChanged(
        tenant_id=transaction.tenant_id,
        occurred_at=transaction.at,
        subject=user.user_id,
        version=int(user.generation) + 1,
        user_id=user.user_id,
        email=user.email,
    )
    transaction.emit(event, {"password": CHANGED})
