"""Tenants as the platform's staff see them; every look is kept in the journal."""

from contracts.events import PLATFORM
from identity import suspensions, tenants
from identity.models.forms import TenantStatus
from identity.models.staff import (
    InspectedTenant,
    ReactivateTenant,
    SuspendTenant,
    TenantFile,
    TenantMember,
    TenantSuspension,
)
from identity.tables import MembershipRecord, TenantRecord
from kernel.ids import LIVE_TENANT
from kernel.pagination import Page, decode_cursor, encode_cursor
from kernel.principals import Staff
from kernel.transactions import Transaction

MEMBERS = 100


def list_page(
    staff: Staff, status: TenantStatus, limit: int, cursor: str | None
) -> Page[InspectedTenant]:
    """Return a page of the tenants in a status. One query, one transaction (the audit)."""
    after = decode_cursor(cursor, prefix=f"{LIVE_TENANT}_")
    with Transaction(staff, PLATFORM) as transaction:
        records, following = TenantRecord.in_status(status, limit=limit, after=after)
        transaction.note("identity.tenants_listed", PLATFORM, {"status": status})
    data = [_inspect(record) for record in records]
    return Page(data=data, next_cursor=encode_cursor(following))


def read(staff: Staff, tenant_id: str) -> TenantFile:
    """Return a tenant with its first members. One read, one query, one transaction (the audit)."""
    record = tenants.find(tenant_id)
    with Transaction(staff, tenant_id) as transaction:
        transaction.note("identity.tenant_inspected", tenant_id)
        members = MembershipRecord.first_of(tenant_id, limit=MEMBERS)
    return TenantFile(
        **_inspect(record).model_dump(),
        members=[
            TenantMember(
                user_id=member.member_id,
                email=member.email,
                role=member.role,
                joined_at=member.joined_at,
            )
            for member in members
        ],
    )


def suspend(staff: Staff, tenant_id: str, body: SuspendTenant) -> InspectedTenant:
    """Suspend a tenant for a reason. One read, one transaction."""
    return _inspect(suspensions.suspend(staff, tenant_id, body.reason, body.note))


def reactivate(staff: Staff, tenant_id: str, body: ReactivateTenant) -> InspectedTenant:
    """Lift a reason. One read, one transaction."""
    return _inspect(suspensions.reactivate(staff, tenant_id, body.reason))


def _inspect(record: TenantRecord) -> InspectedTenant:
    details = [
        TenantSuspension(reason=reason, **entry)
        for reason, entry in sorted(record.suspensions.items())
    ]
    return InspectedTenant(**tenants.describe(record).model_dump(), suspension_details=details)
