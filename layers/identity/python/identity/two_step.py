"""A user's second factor: enrolling, confirming, disabling, new recovery codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from pynamodb.expressions.update import Action

from identity import accounts, second_factors
from identity.confirmation import confirm
from identity.errors import CodeWrongError, TotpAlreadyEnabledError, TotpNotEnabledError
from identity.models.me import (
    ConfirmIdentity,
    ConfirmTotp,
    EnrolTotp,
    RecoveryCodes,
    TotpEnrolment,
)
from identity.second_factors import Use
from identity.tables import UserRecord
from kernel.authentication import hash_secret
from kernel.principals import Caller
from kernel.transactions import Transaction


def enrol(caller: Caller, body: EnrolTotp) -> TotpEnrolment:
    """Return a new secret, which counts once it is confirmed.

    Two queries, one write, one transaction. Raises PasswordWrongError, SignInLockedError and
    TotpAlreadyEnabledError.
    """
    account, attempt = confirm(caller, body.password.get_secret_value())
    user, secret = account.user, second_factors.new_secret()
    with attempt.excusing(TotpAlreadyEnabledError), Transaction(caller) as transaction:
        transaction.update(
            user,
            [UserRecord.totp_pending.set(second_factors.seal(secret, user.user_id))],
            condition=UserRecord.totp_sealed.does_not_exist(),
            conflict=TotpAlreadyEnabledError(),
        )
        attempt.forgive(transaction)
        transaction.note("identity.totp_enrolled", user.user_id)
    return TotpEnrolment(secret=secret, otpauth_uri=second_factors.uri(secret, user.email))


def enable(caller: Caller, body: ConfirmTotp) -> RecoveryCodes:
    """Enable the enrolled second factor by its first code. One query, one transaction.

    Raises TotpNotEnabledError where none is being enrolled, and CodeWrongError.
    """
    user = accounts.of_caller(caller).user
    if user.totp_pending is None:
        raise TotpNotEnabledError
    step = second_factors.matching_step(user.totp_pending, user.user_id, body.code, after=None)
    if step is None:
        raise CodeWrongError
    codes = second_factors.new_recovery_codes()
    with Transaction(caller) as transaction:
        transaction.update(
            user,
            [
                UserRecord.totp_sealed.set(user.totp_pending),
                UserRecord.totp_pending.remove(),
                UserRecord.totp_step.set(step),
                UserRecord.recovery_hashes.set(set(map(hash_secret, codes))),
            ],
            condition=UserRecord.totp_pending == user.totp_pending,
            conflict=TotpNotEnabledError(),
        )
        transaction.note("identity.totp_enabled", user.user_id)
    return RecoveryCodes(recovery_codes=codes)


def disable(caller: Caller, body: ConfirmIdentity) -> None:
    """Remove the second factor. Two queries, one write, one transaction.

    Raises PasswordWrongError, SignInLockedError, TotpNotEnabledError and CodeWrongError.
    """
    removals: list[Action] = [
        UserRecord.totp_sealed.remove(),
        UserRecord.totp_step.remove(),
        UserRecord.recovery_hashes.remove(),
    ]
    with _confirmed(caller, body, "identity.totp_disabled") as (transaction, user, use):
        transaction.update(user, removals, condition=use.condition, conflict=CodeWrongError())


def renew_recovery_codes(caller: Caller, body: ConfirmIdentity) -> RecoveryCodes:
    """Replace the recovery codes. Two queries, one write, one transaction; raises as `disable`."""
    codes = second_factors.new_recovery_codes()
    actions: list[Action] = [UserRecord.recovery_hashes.set(set(map(hash_secret, codes)))]
    with _confirmed(caller, body, "identity.recovery_codes_renewed") as (transaction, user, use):
        if use.step is not None:
            actions.append(UserRecord.totp_step.set(use.step))
        transaction.update(user, actions, condition=use.condition, conflict=CodeWrongError())
    return RecoveryCodes(recovery_codes=codes)


@contextmanager
def _confirmed(
    caller: Caller, body: ConfirmIdentity, action: str
) -> Iterator[tuple[Transaction, UserRecord, Use]]:
    """Open a transaction for a change that password and code have confirmed."""
    account, attempt = confirm(caller, body.password.get_secret_value())
    with attempt.excusing(TotpNotEnabledError):
        if account.user.totp_sealed is None:
            raise TotpNotEnabledError
    use = second_factors.use_any(account.user, body.code, CodeWrongError)
    with Transaction(caller) as transaction:
        yield transaction, account.user, use
        attempt.forgive(transaction)
        transaction.note(action, account.user.user_id)
