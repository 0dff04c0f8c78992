from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger, tables
from billing.tables import AccountRecord, InvoiceRecord, LedgerEntryRecord
from kernel.ids import new_id
from kernel.money import Money
from tests.callers import make_caller, make_tenant
from tests.unit.billing.scenery import API_KEY, Company, World

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TYPES = ["invoice", "payment", "refund", "credit"]


def entry(entry_type: Any = "invoice", amount: int = 10_00, **options: Any) -> LedgerEntryRecord:
    given: dict[str, Any] = {
        "invoice_id": "inv_1",
        "occurred_at": NOW,
        "sorted_by": NOW,
        "provider_id": None,
    }
    return ledger.entry("tnt_1", entry_type, Money(amount=amount), **given | options)


@pytest.mark.parametrize(
    ("entry_type", "signed"),
    [("invoice", 10_00), ("payment", -10_00), ("refund", 10_00), ("credit", -10_00)],
)
def test_entries_are_signed_by_their_type(entry_type: str, signed: int) -> None:
    assert entry(entry_type).amount == signed


def test_an_amount_is_given_unsigned() -> None:
    with pytest.raises(ValueError, match="unsigned"):
        entry(amount=-1)


def test_a_movement_has_one_id() -> None:
    assert entry("payment", provider_id="pi_1").sk == entry("payment", provider_id="pi_1").sk
    different = {
        entry("payment", provider_id="pi_1").sk,
        entry("payment", provider_id="pi_2").sk,
        entry("refund", provider_id="pi_1").sk,
        entry("invoice").sk,
        entry("invoice", invoice_id="inv_2").sk,
    }
    assert len(different) == 5


@pytest.mark.usefixtures("tables")
def test_entries_are_listed_newest_first_page_by_page() -> None:
    tenant_id = make_tenant()
    for minute in range(5):
        ledger.entry(
            tenant_id,
            "invoice",
            Money(amount=minute),
            invoice_id=new_id("inv"),
            occurred_at=NOW,
            sorted_by=NOW + timedelta(minutes=minute),
        ).save()
    caller = make_caller(tenant_id)
    first = ledger.page(caller, limit=3, cursor=None)
    second = ledger.page(caller, limit=3, cursor=first.next_cursor)

    assert [item.amount.amount for item in first.data + second.data] == [4, 3, 2, 1, 0]
    assert second.next_cursor is None
    assert ledger.page(make_caller(make_tenant()), limit=3, cursor=None).data == []


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("attempt"), st.booleans()),
        st.tuples(st.just("refund"), st.integers(1, 60_00)),
        st.tuples(st.just("webhooks"), st.integers(1, 2)),
    ),
    max_size=7,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=ACTIONS)
def test_whatever_happens_the_ledger_says_what_is_owed(
    world: World, actions: list[tuple[str, Any]]
) -> None:
    """What is owed is the total of what is open, and each movement has its entry, once."""
    company = world.company()
    company.give_card()
    company.finalise()
    attempts = 0
    for action, argument in actions:
        if action == "attempt":
            attempts += 1
            if not argument:
                world.fault("decline", customer=company.account.stripe_customer_id)
            company.charge(attempts)
            world.fault_ends()
        elif action == "refund":
            refund(world, company, argument)
        else:
            world.post.tasks *= argument
            world.deliver()
    world.deliver()
    check(world, company)


def refund(world: World, company: Company, amount: int) -> None:
    payment_id = company.invoice.stripe_payment_intent_id
    if payment_id is None:
        return
    api = stripe.StripeClient(API_KEY, base_addresses={"api": world.url}).v1
    try:
        api.refunds.create({"payment_intent": payment_id, "amount": amount})
    except stripe.InvalidRequestError:
        return


def check(world: World, company: Company) -> None:
    invoices = tables.all_of(InvoiceRecord, company.tenant_id, tables.INVOICES)
    entries = tables.all_of(LedgerEntryRecord, company.tenant_id, tables.LEDGER_ENTRIES)
    owed = {item.sk: 0 if item.status == "paid" else int(item.total) for item in invoices}
    sums = dict.fromkeys(owed, 0)
    for item in entries:
        sums[item.invoice_id] += int(item.amount)
    refunded = sum(int(item.amount) for item in entries if item.type == "refund")
    charged = [
        charge
        for charge in world.charges()
        if charge["customer"] == company.account.stripe_customer_id
    ]

    assert sums == owed
    assert ledger.balance(company.tenant_id) == sum(owed.values())
    assert len({(item.type, item.provider_id) for item in entries}) == len(entries)
    assert len(charged) == len([item for item in entries if item.type == "payment"]) <= 1
    assert refunded == sum(int(item.refunded) for item in invoices)
    open_invoices = company.account.open_invoices or set()
    assert {name.partition("#")[2] for name in open_invoices} == {
        item.sk for item in invoices if item.status != "paid"
    }
    assert company.account.sk == AccountRecord.SORT_KEY
