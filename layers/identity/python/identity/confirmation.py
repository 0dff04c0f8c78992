"""What changes an account's secrets asks for the password again, under the same lock-out."""

from identity import accounts, attempts, passwords
from identity.accounts import Account
from identity.addresses import digest
from identity.attempts import Attempt
from identity.errors import PasswordWrongError
from identity.tables import AddressRecord
from kernel.principals import Caller


def confirm(caller: Caller, password: str) -> tuple[Account, Attempt]:
    """Return the caller's account, its password being right. Two queries, one write.

    The attempt counts as a failure until it is forgiven. Raises PasswordWrongError and
    SignInLockedError.
    """
    account = accounts.of_caller(caller)
    address_digest = digest(account.user.email)
    _, known = accounts.find_address(address_digest)
    attempt = attempts.begin(AddressRecord.partition(address_digest), known)
    if not passwords.verify(password, account.user.password_hash):
        raise PasswordWrongError
    return account, attempt
