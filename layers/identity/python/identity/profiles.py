"""Who calls: a user's own account, as it is and renamed."""

from datetime import datetime, timedelta

from identity import accounts, tenants
from identity.accounts import Account
from identity.models.me import Me, MeMembership, MeTenant, MeUser, UpdateMe
from identity.tables import TenantRecord, UserRecord
from kernel import clock
from kernel.errors import UnauthenticatedError
from kernel.principals import Caller
from kernel.transactions import Transaction

TRIALING = "trialing"


def read(caller: Caller) -> Me:
    """Return who calls. One query and one batch read; for an API key one read.

    A test tenant in its trial costs a read of its clock more.
    """
    if caller.kind == "api_key":
        return _describe(caller, None, [tenants.find(caller.tenant_id)])
    account = accounts.of_caller(caller)
    tenant_ids = {membership.member_of for membership in account.memberships}
    return _describe(caller, account, TenantRecord.some(tenant_ids | {caller.tenant_id}))


def update(caller: Caller, body: UpdateMe) -> Me:
    """Rename the calling user. One transaction, then as `read`."""
    with Transaction(caller) as transaction:
        transaction.update(
            UserRecord.at(caller.user_id),
            [UserRecord.name.set(body.name)],
            condition=UserRecord.pk.exists(),
            conflict=UnauthenticatedError(),
        )
        transaction.note("identity.user_updated", caller.user_id, {"name": body.name})
    return read(caller)


def days_remaining(ends: datetime, now: datetime) -> int:
    """Return how many days have begun until a trial ends."""
    return max(0, -((now - ends) // timedelta(days=1)))


def _describe(caller: Caller, account: Account | None, records: list[TenantRecord]) -> Me:
    known = {record.tenant_id: record for record in records}
    tenant = known[caller.tenant_id]
    trial_ends_at = tenant.trial_ends_at if tenant.subscription_status == TRIALING else None
    return Me(
        user=_user(account.user) if account else None,
        api_key_id=caller.api_key_id,
        session_id=caller.session_id,
        role=caller.role or None,
        permissions=sorted(caller.permissions),
        tenant=MeTenant(
            id=tenant.tenant_id,
            company_name=tenant.company_name,
            mode=tenant.mode,
            plan=tenant.plan,
            status=tenant.status,
            suspensions=sorted(tenant.suspensions),
        ),
        trial_ends_at=trial_ends_at,
        trial_days_remaining=(
            days_remaining(trial_ends_at, clock.tenant(tenant.tenant_id)) if trial_ends_at else None
        ),
        memberships=[
            MeMembership(
                tenant_id=membership.member_of,
                company_name=known[membership.member_of].company_name,
                role=membership.role,
                joined_at=membership.joined_at,
            )
            for membership in (account.memberships if account else ())
            if membership.member_of in known
        ],
    )


def _user(user: UserRecord) -> MeUser:
    return MeUser(
        id=user.user_id,
        email=user.email,
        name=user.name,
        totp_enabled=user.totp_sealed is not None,
        recovery_codes_left=len(user.recovery_hashes or ()),
        created_at=user.created_at,
    )
