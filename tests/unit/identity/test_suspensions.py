"""A set of reasons, the gravest of which stands in the gate; facts of billing in any order."""

from itertools import permutations
from typing import Any

import pytest

from contracts.billing import Entitlements, InvoicePaid, SubscriptionChanged
from contracts.identity import SuspensionReason, TenantReactivated, TenantSuspended
from identity import suspensions, tenants
from identity.errors import NotSuspendedError, TenantNotFoundError
from identity.models.tenants import UpdateTenant
from identity.tables import TenantRecord
from kernel import clock
from kernel.errors import VersionConflictError
from kernel.ids import new_id, new_tenant_id
from kernel.money import Money
from kernel.principals import Staff
from tests.unit.identity.scenery import (
    Owner,
    events,
    found_company,
    gate_of,
    items,
    journal,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")

STAFF = Staff(staff_id=new_id("stf"), session_id=new_id("ses"), ip="198.51.100.9")


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def suspend(owner: Owner, reason: SuspensionReason, note: str = "Because.") -> TenantRecord:
    return suspensions.suspend(STAFF, owner.tenant_id, reason, note)


def reactivate(owner: Owner, reason: SuspensionReason) -> TenantRecord:
    return suspensions.reactivate(STAFF, owner.tenant_id, reason)


def subscription(owner: Owner, status: str) -> SubscriptionChanged:
    return SubscriptionChanged.model_validate(
        {
            "tenant_id": owner.tenant_id,
            "occurred_at": clock.wall(),
            "subject": "sub_1",
            "plan": "api_starter",
            "status": status,
            "entitlements": Entitlements(),
        }
    )


def paid(owner: Owner, *, settles: bool = True) -> InvoicePaid:
    return InvoicePaid(
        tenant_id=owner.tenant_id,
        occurred_at=clock.wall(),
        subject="inv_1",
        invoice_id="inv_1",
        total=Money(amount=1_000),
        description="A month",
        settles_account=settles,
    )


def status(owner: Owner) -> str:
    """Return the status, which tenant and gate must agree on."""
    in_gate = str(gate_of(owner.tenant_id)["status"]["S"])
    assert tenants.find(owner.tenant_id).status == in_gate
    return in_gate


@pytest.mark.parametrize("order", [*permutations(("payment", "terms", "abuse"))])
def test_the_gravest_reason_stands_in_the_gate(owner: Owner, order: tuple[Any, ...]) -> None:
    for reason in order:
        suspend(owner, reason)
    assert status(owner) == "abuse"
    assert tenants.read(owner.caller).suspensions == ["abuse", "payment", "terms"]


def test_lifting_one_reason_leaves_the_others(owner: Owner) -> None:
    for reason in suspensions.GRAVITY:
        suspend(owner, reason)
    seen = []
    for reason in suspensions.GRAVITY:
        reactivate(owner, reason)
        seen.append(status(owner))
    assert seen == ["blacklisted", "terms", "payment", "active"]
    assert [event.open for event in events(TenantReactivated)] == [False, False, False, True]


def test_each_reason_is_published_once(owner: Owner) -> None:
    suspend(owner, "abuse")
    suspend(owner, "abuse", note="Again.")
    suspend(owner, "terms")
    assert [event.reason for event in events(TenantSuspended)] == ["abuse", "terms"]
    assert events(TenantSuspended)[0].version == 2


def test_the_note_is_for_staff_only(owner: Owner) -> None:
    suspend(owner, "abuse", note="Suspected of fraud.")
    assert "fraud" not in str(items("journal"))
    assert "fraud" not in tenants.read(owner.caller).model_dump_json()
    assert tenants.find(owner.tenant_id).suspensions["abuse"]["note"] == "Suspected of fraud."
    suspend(owner, "abuse", note="Confirmed.")
    assert tenants.find(owner.tenant_id).suspensions["abuse"]["note"] == "Confirmed."


def test_who_suspended_is_in_the_journal(owner: Owner) -> None:
    suspend(owner, "abuse")
    entry = journal()[-1]
    assert entry.tenant_id == owner.tenant_id
    assert entry.audit["actor"] == {"type": "staff", "id": STAFF.staff_id, "ip": STAFF.ip}


def test_a_reason_that_does_not_hold_cannot_be_lifted(owner: Owner) -> None:
    suspend(owner, "abuse")
    with pytest.raises(NotSuspendedError):
        reactivate(owner, "terms")
    assert status(owner) == "abuse"


def test_an_unknown_tenant_is_not_found() -> None:
    with pytest.raises(TenantNotFoundError):
        suspensions.suspend(STAFF, new_tenant_id("live"), "abuse", "Because.")


def test_of_two_changes_at_once_one_wins(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    find = tenants.find

    def delayed(tenant_id: str) -> TenantRecord:
        read = find(tenant_id)
        monkeypatch.setattr(tenants, "find", find)
        suspend(owner, "terms")
        return read

    monkeypatch.setattr(tenants, "find", delayed)
    with pytest.raises(VersionConflictError):
        suspend(owner, "payment")
    assert status(owner) == "terms"


def test_a_suspended_subscription_suspends_for_payment(owner: Owner) -> None:
    suspensions.suspend_for_payment(subscription(owner, "suspended"))
    assert status(owner) == "payment"
    [event] = events(TenantSuspended)
    assert event.reason == "payment"
    assert journal()[-1].audit["actor"] == {"type": "system", "id": "identity/suspend_for_payment"}


@pytest.mark.parametrize("other", ["trialing", "active", "past_due", "canceled"])
def test_other_states_of_a_subscription_suspend_nothing(owner: Owner, other: str) -> None:
    suspensions.suspend_for_payment(subscription(owner, other))
    assert status(owner) == "active"
    assert events(TenantSuspended) == []


def test_a_settled_account_is_lifted(owner: Owner) -> None:
    suspensions.suspend_for_payment(subscription(owner, "suspended"))
    suspensions.lift_for_payment(paid(owner))
    assert status(owner) == "active"
    [event] = events(TenantReactivated)
    assert (event.reason, event.open) == ("payment", True)


def test_an_invoice_that_leaves_others_open_lifts_nothing(owner: Owner) -> None:
    suspensions.suspend_for_payment(subscription(owner, "suspended"))
    suspensions.lift_for_payment(paid(owner, settles=False))
    assert status(owner) == "payment"


def test_paying_does_not_lift_abuse(owner: Owner) -> None:
    suspend(owner, "abuse")
    suspensions.suspend_for_payment(subscription(owner, "suspended"))
    suspensions.lift_for_payment(paid(owner))
    assert status(owner) == "abuse"
    assert events(TenantReactivated)[0].open is False


def test_a_payment_that_lifts_nothing_changes_nothing_that_is_seen(owner: Owner) -> None:
    before = tenants.read(owner.caller)
    suspensions.lift_for_payment(paid(owner))
    assert tenants.read(owner.caller) == before
    assert events(TenantReactivated) == []


@pytest.mark.parametrize(("last", "expected"), [(3, "payment"), (4, "active")])
def test_facts_that_arrive_in_any_order_end_in_the_same_state(
    owner: Owner, last: int, expected: str
) -> None:
    """Suspended, paid, suspended, paid: the newest that was heard decides, however often."""
    facts: list[Any] = [
        subscription(owner, "suspended"),
        paid(owner),
        subscription(owner, "suspended"),
        paid(owner),
    ]
    for order in permutations(facts[:last]):
        tenant_id = found_company()
        for fact in (*order, *order):
            moved = fact.model_copy(update={"tenant_id": tenant_id})
            if isinstance(moved, InvoicePaid):
                suspensions.lift_for_payment(moved)
            else:
                suspensions.suspend_for_payment(moved)
        assert tenants.find(tenant_id).status == gate_of(tenant_id)["status"]["S"] == expected


def test_renaming_and_suspending_do_not_undo_each_other(owner: Owner) -> None:
    suspend(owner, "terms")
    with pytest.raises(VersionConflictError):
        tenants.update(owner.caller, UpdateTenant(company_name="New", version=1))
    tenants.update(owner.caller, UpdateTenant(company_name="New", version=2))
    assert status(owner) == "terms"
