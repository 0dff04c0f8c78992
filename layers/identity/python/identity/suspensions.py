"""Suspension: a tenant holds a set of reasons, and the gate knows the gravest of them.

Lifting one reason leaves the others. Whatever changes the set also writes the gate's status, in one
transaction that only wins when nobody changed the tenant since it was read.
"""

from collections.abc import Iterable
from typing import Any, Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from contracts.billing import InvoicePaid, SubscriptionChanged
from contracts.identity import SuspensionReason, TenantReactivated, TenantSuspended
from identity import tenants
from identity.errors import NotSuspendedError
from identity.tables import TenantRecord
from kernel import clock
from kernel.gate import ACTIVE
from kernel.principals import Principal, Staff, System
from kernel.tables import GateRecord
from kernel.transactions import Transaction

GRAVITY: Final[tuple[SuspensionReason, ...]] = ("abuse", "blacklisted", "terms", "payment")
"""The reasons, gravest first."""

PAYMENT: Final[SuspensionReason] = "payment"
SUSPENDED: Final = "suspended"


def status_of(reasons: Iterable[str]) -> str:
    """Return the gate's status for a set of reasons."""
    return min(reasons, key=GRAVITY.index, default=ACTIVE)


def suspend(staff: Staff, tenant_id: str, reason: SuspensionReason, note: str) -> TenantRecord:
    """Add a reason; suspending twice changes the note only. One read, one transaction.

    The note is for staff: it stands in the tenant's record, not in the log that its members read.
    """
    tenant = tenants.find(tenant_id)
    entry = {"at": clock.wall().isoformat(), "by": staff.staff_id, "note": note}
    return _change(staff, tenant, reason, entry)


def reactivate(staff: Staff, tenant_id: str, reason: SuspensionReason) -> TenantRecord:
    """Lift a reason; raises NotSuspendedError where it does not hold. One read, one transaction."""
    tenant = tenants.find(tenant_id)
    if reason not in tenant.suspensions:
        raise NotSuspendedError(f"The tenant is not suspended for {reason}.")
    return _change(staff, tenant, reason, None)


def suspend_for_payment(event: SubscriptionChanged) -> None:
    """Suspend for `payment` when the last attempt to charge has failed. One read, one transaction.

    Facts arrive in any order: one that is older than what was last heard of the account's payments
    changes nothing.
    """
    if event.status != SUSPENDED:
        return
    entry = {"at": event.occurred_at.isoformat(), "by": "billing", "note": ""}
    _apply_fact("identity/suspend_for_payment", event.tenant_id, event.id, entry)


def lift_for_payment(event: InvoicePaid) -> None:
    """Lift `payment` once no invoice is open any more. One read, one transaction."""
    if event.settles_account:
        _apply_fact("identity/lift_payment_suspension", event.tenant_id, event.id, None)


def _apply_fact(
    subscriber: str, tenant_id: str, fact_id: str, entry: dict[str, Any] | None
) -> None:
    """Suspend or lift by a fact of billing, if it is the newest; ids of events sort by time."""
    tenant = tenants.find(tenant_id)
    if tenant.payment_fact is not None and fact_id <= tenant.payment_fact:
        return
    if entry is not None:
        entry = tenant.suspensions.get(PAYMENT, entry)
    _change(System(name=subscriber), tenant, PAYMENT, entry, fact_id=fact_id)


def _change(
    actor: Principal,
    tenant: TenantRecord,
    reason: SuspensionReason,
    entry: dict[str, Any] | None,
    *,
    fact_id: str | None = None,
) -> TenantRecord:
    """Add or remove a reason in tenant and gate, and publish that where it is a change."""
    before, known_fact = tenant.suspensions, tenant.payment_fact
    held = {name: value for name, value in before.items() if name != reason}
    if entry is not None:
        held[reason] = entry
    unchanged = (TenantRecord.version == tenant.version) & _is_still(known_fact)
    tenant.suspensions, tenant.status = held, status_of(held)
    tenant.payment_fact = fact_id or known_fact
    if held != before:
        tenant.version, tenant.updated_at = int(tenant.version) + 1, clock.wall()
    with Transaction(actor, tenant.tenant_id, at=clock.tenant(tenant.tenant_id)) as transaction:
        transaction.update(tenant, _standing(tenant), condition=unchanged)
        if held.keys() != before.keys():
            gate = GateRecord.for_tenant(tenant.tenant_id)
            transaction.update(gate, [GateRecord.status.set(tenant.status)])
            _publish(transaction, tenant, reason)
    return tenant


def _standing(tenant: TenantRecord) -> list[Action]:
    """Return the update of a tenant's standing; what is known of its subscription stays."""
    actions: list[Action] = [
        TenantRecord.suspensions.set(tenant.suspensions),
        TenantRecord.status.set(tenant.status),
        TenantRecord.updated_at.set(tenant.updated_at),
        TenantRecord.version.set(tenant.version),
    ]
    if tenant.payment_fact is not None:
        actions.append(TenantRecord.payment_fact.set(tenant.payment_fact))
    return actions


def _publish(transaction: Transaction, tenant: TenantRecord, reason: SuspensionReason) -> None:
    """Add the fact that a reason began or ceased to hold."""
    facts = {
        "tenant_id": tenant.tenant_id,
        "occurred_at": transaction.at,
        "subject": tenant.tenant_id,
        "version": int(tenant.version),
        "reason": reason,
    }
    changes = {"reason": reason, "status": tenant.status}
    if reason in tenant.suspensions:
        transaction.emit(TenantSuspended.model_validate(facts), changes)
    else:
        facts["open"] = tenant.status == ACTIVE
        transaction.emit(TenantReactivated.model_validate(facts), changes)


def _is_still(fact_id: str | None) -> Condition:
    """Return the condition that no newer fact of billing has been heard."""
    if fact_id is None:
        return TenantRecord.payment_fact.does_not_exist()
    return TenantRecord.payment_fact == fact_id
