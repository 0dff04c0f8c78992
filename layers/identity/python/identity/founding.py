"""The birth of a tenant: everything that must exist together, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.identity import TenantRegistered
from identity import entitlements
from identity.addresses import digest
from identity.errors import AddressTakenError
from identity.tables import AddressRecord, MembershipRecord, TenantRecord, UserRecord
from kernel.gate import ACTIVE
from kernel.ids import new_id
from kernel.tables import GateRecord
from kernel.transactions import Transaction

OWNER: Final = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What is known of a tenant and its owner when they come into being."""

    tenant_id: str
    company_name: str
    mode: str
    plan: str
    email: str
    password_hash: str


def found(transaction: Transaction, foundation: Foundation) -> str:
    """Add tenant, owner, address look-up, membership, gate item and fact; return the owner's id.

    A test tenant's clock comes into being by the fact, which makes it busy. Six writes.
    """
    user_id, now = new_id("usr"), transaction.at
    transaction.create(
        AddressRecord(
            AddressRecord.partition(digest(foundation.email)), AddressRecord.SK, user_id=user_id
        ),
        conflict=AddressTakenError(),
    )
    transaction.create(
        UserRecord.at(
            user_id,
            email=foundation.email,
            password_hash=foundation.password_hash,
            password_changed_at=now,
            created_at=now,
        )
    )
    _add_tenant(transaction, foundation, user_id, now)
    event = TenantRegistered(
        tenant_id=foundation.tenant_id,
        occurred_at=now,
        subject=foundation.tenant_id,
        company_name=foundation.company_name,
        plan=foundation.plan,
        mode=foundation.mode,
        owner_id=user_id,
        owner_email=foundation.email,
    )
    changes = {"company_name": foundation.company_name, "plan": foundation.plan}
    transaction.emit(event, changes)
    return user_id


def _add_tenant(
    transaction: Transaction, foundation: Foundation, owner_id: str, now: datetime
) -> None:
    tenant_id = foundation.tenant_id
    transaction.create(
        MembershipRecord.at(owner_id, tenant_id, email=foundation.email, role=OWNER, joined_at=now)
    )
    transaction.create(
        TenantRecord.at(
            tenant_id,
            company_name=foundation.company_name,
            mode=foundation.mode,
            owner_id=owner_id,
            status=ACTIVE,
            plan=foundation.plan,
            created_at=now,
            updated_at=now,
        )
    )
    transaction.create(
        GateRecord.for_tenant(
            tenant_id,
            status=ACTIVE,
            **entitlements.USER_LIMITS,
            **entitlements.limits_of(entitlements.PROVISIONAL),
        )
    )
