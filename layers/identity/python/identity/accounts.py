"""An account: a user with memberships and living sessions, read by one query."""

from dataclasses import dataclass
from typing import Final, TypeVar

from identity.errors import NoMembershipError
from identity.tables import (
    AddressRecord,
    AttemptsRecord,
    IdentityTable,
    MembershipRecord,
    SessionRecord,
    UserRecord,
    is_over,
)
from kernel import clock
from kernel.errors import UnauthenticatedError
from kernel.principals import Caller

RecordT = TypeVar("RecordT", bound=IdentityTable)

NOBODY: Final = "usr_00000000000000000000000000"
"""The user that is looked up for an unknown address, so that both cost the same."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user, the tenants that the user belongs to (first joined first), and living sessions."""

    user: UserRecord
    memberships: tuple[MembershipRecord, ...]
    sessions: tuple[SessionRecord, ...]

    def membership(self, tenant_id: str | None = None) -> MembershipRecord:
        """Return the membership in a tenant, by default the first; raises NoMembershipError."""
        for membership in self.memberships:
            if tenant_id in (None, membership.member_of):
                return membership
        raise NoMembershipError

    def session(self, session_id: str | None) -> SessionRecord | None:
        """Return a living session, or None."""
        return next((item for item in self.sessions if item.session_id == session_id), None)


def load(user_id: str) -> Account | None:
    """Return the account of a user, or None. One query."""
    records = IdentityTable.of_partition(UserRecord.partition(user_id))
    user = _first(records, UserRecord)
    if user is None:
        return None
    now = clock.wall()
    memberships = [item for item in records if isinstance(item, MembershipRecord)]
    sessions = [
        item
        for item in records
        if isinstance(item, SessionRecord)
        and item.generation == user.generation
        and not is_over(item.expires_at, now)
    ]
    return Account(
        user,
        tuple(sorted(memberships, key=lambda item: item.joined_at)),
        tuple(sorted(sessions, key=lambda item: item.refreshed_at, reverse=True)),
    )


def of_caller(caller: Caller) -> Account:
    """Return the account of a user who calls; UnauthenticatedError once it is gone. One query."""
    account = load(caller.user_id)
    if account is None:
        raise UnauthenticatedError
    return account


def find_address(digest: str) -> tuple[AddressRecord | None, AttemptsRecord | None]:
    """Return whose an address is and its failed attempts, either of them None. One query."""
    records = IdentityTable.of_partition(AddressRecord.partition(digest))
    return _first(records, AddressRecord), _first(records, AttemptsRecord)


def _first(records: list[IdentityTable], model: type[RecordT]) -> RecordT | None:
    return next((item for item in records if isinstance(item, model)), None)
