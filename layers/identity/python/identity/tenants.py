"""A tenant's own record: reading it, renaming it."""

from contracts.identity import TenantUpdated
from identity.errors import TenantNotFoundError
from identity.models.tenants import Tenant, UpdateTenant
from identity.tables import TenantRecord
from kernel import clock
from kernel import tables as kernel_tables
from kernel.errors import VersionConflictError
from kernel.principals import Caller
from kernel.transactions import Transaction


def find(tenant_id: str) -> TenantRecord:
    """Return a tenant's record by a consistent read; raises TenantNotFoundError."""
    record = kernel_tables.find(TenantRecord, tenant_id, TenantRecord.SK)
    if record is None:
        raise TenantNotFoundError
    return record


def read(caller: Caller) -> Tenant:
    """Return the caller's tenant. One read."""
    return describe(find(caller.tenant_id))


def update(caller: Caller, body: UpdateTenant) -> Tenant:
    """Rename the caller's tenant, if nobody changed it since. One transaction, one read."""
    at = clock.tenant(caller.tenant_id)
    version = body.version + 1
    with Transaction(caller, at=at) as transaction:
        transaction.update(
            TenantRecord.at(caller.tenant_id),
            [
                TenantRecord.company_name.set(body.company_name),
                TenantRecord.updated_at.set(clock.wall()),
                TenantRecord.version.set(version),
            ],
            condition=TenantRecord.version == body.version,
            conflict=VersionConflictError(),
        )
        event = TenantUpdated(
            tenant_id=caller.tenant_id,
            occurred_at=at,
            subject=caller.tenant_id,
            version=version,
            company_name=body.company_name,
        )
        transaction.emit(event, {"company_name": body.company_name})
    return read(caller)


def describe(record: TenantRecord) -> Tenant:
    """Return a tenant as its members see it."""
    return Tenant(
        id=record.tenant_id,
        company_name=record.company_name,
        mode=record.mode,
        status=record.status,
        suspensions=sorted(record.suspensions),
        plan=record.plan,
        subscription_status=record.subscription_status,
        trial_ends_at=record.trial_ends_at,
        owner_id=record.owner_id,
        created_at=record.created_at,
        updated_at=record.updated_at,
        version=int(record.version),
    )
