from datetime import timedelta

import pytest

from billing import subscriptions, tables
from billing.errors import StripeUnavailableError, SubscriptionNotFoundError
from billing.tables import AccountRecord, LookupRecord
from contracts.billing import SubscriptionChanged
from kernel.errors import InvalidCursorError
from tests.callers import make_tenant
from tests.doubles import StepFunctions
from tests.unit.billing.scenery import EMAIL, NOON, Calls, Company, World

FLOW = "billing-trial_conversion"


def test_a_paid_plan_begins_with_a_trial(
    world: World, company: Company, step_functions: StepFunctions
) -> None:
    subscription = company.subscription

    assert (subscription.status, subscription.plan) == ("trialing", "inbox_starter")
    assert subscription.trial_ends_at == NOON + timedelta(days=7)
    assert step_functions.started == {
        f"{FLOW}/{subscription.sk}": {
            "tenant_id": company.tenant_id,
            "subscription_id": subscription.sk,
            "remind_at": "2026-11-24T12:00:00Z",
            "trial_ends_at": "2026-11-27T12:00:00Z",
        }
    }


def test_the_trial_s_terms_are_published(world: World, company: Company) -> None:
    (event,) = world.events(SubscriptionChanged)

    assert (event.status, event.version, event.subject) == (
        "trialing",
        1,
        company.subscription.sk,
    )
    assert (event.entitlements.inboxes, event.entitlements.calls_per_month) == (5, 10_000)


def test_a_free_plan_is_active_and_starts_no_flow(
    world: World, step_functions: StepFunctions
) -> None:
    company = world.company("api_free")
    (event,) = world.events(SubscriptionChanged)

    assert company.subscription.status == "active"
    assert company.subscription.trial_ends_at is None
    assert event.entitlements.calls_per_month == 1_000
    assert step_functions.started == {}


def test_stripe_gets_a_customer_of_the_tenant_and_we_keep_no_address(
    world: World, company: Company
) -> None:
    (request,) = world.requests(path="/v1/customers")
    lookup = LookupRecord.find(company.account.stripe_customer_id)

    assert request["idempotency_key"] == company.tenant_id
    assert request["metadata"] == {"tenant_id": company.tenant_id}
    assert lookup is not None
    assert lookup.tenant_id == company.tenant_id
    assert EMAIL not in str([record.serialize() for record in tables.BillingTable.scan()])


def test_starting_twice_is_harmless(world: World, company: Company) -> None:
    subscriptions.start(company.registration("inbox_starter"))

    assert len(world.events(SubscriptionChanged)) == 1
    assert len(world.requests(path="/v1/customers")) == 1
    assert company.subscription.version == 1


def test_a_start_that_was_cut_off_before_the_flow_is_made_good(
    world: World, step_functions: StepFunctions
) -> None:
    company = Company(world, make_tenant())
    step_functions.faults = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        subscriptions.start(company.registration("inbox_starter"))
    subscriptions.start(company.registration("inbox_starter"))

    assert f"{FLOW}/{company.subscription.sk}" in step_functions.started
    assert len(world.events(SubscriptionChanged)) == 1


def test_without_stripe_nothing_is_started_and_a_repetition_does_it(world: World) -> None:
    company = Company(world, make_tenant())
    world.fault("status", status=503, times="always")
    with pytest.raises(StripeUnavailableError):
        subscriptions.start(company.registration("api_pro"))
    before = list(tables.BillingTable.scan())
    world.fault_ends()
    subscriptions.start(company.registration("api_pro"))

    assert before == []
    assert company.subscription.status == "trialing"


def test_two_starts_at_once_make_one_subscription(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company(world, make_tenant())
    create = subscriptions._create_customer

    def overtaken(event: object) -> str:
        monkeypatch.setattr(subscriptions, "_create_customer", create)
        subscriptions.start(company.registration("api_pro"))
        return create(company.registration("api_pro"))

    monkeypatch.setattr(subscriptions, "_create_customer", overtaken)
    subscriptions.start(company.registration("api_pro"))

    assert len(world.events(SubscriptionChanged)) == 1
    assert company.subscription.plan == "api_pro"


def test_a_tenant_sees_its_own_subscriptions_only(world: World, company: Company) -> None:
    other = world.company("api_pro")
    page = subscriptions.page(company.caller(), limit=10, cursor=None)

    assert [item.id for item in page.data] == [company.subscription.sk]
    assert page.data[0].entitlements.inboxes == 5
    with pytest.raises(SubscriptionNotFoundError):
        subscriptions.get(company.caller(), other.subscription.sk)
    with pytest.raises(InvalidCursorError):
        subscriptions.page(company.caller(), limit=10, cursor="QUNDT1VOVA")


def test_calls(world: World, calls: Calls) -> None:
    company = Company(world, make_tenant())
    calls.take()
    subscriptions.start(company.registration("inbox_starter"))
    flow = ["TransactWriteItems", "UpdateItem"]

    assert calls.take() == ["BatchGetItem", "GetSecretValue", "TransactWriteItems", *flow]
    subscriptions.page(company.caller(), limit=10, cursor=None)
    assert calls.take() == ["Query"]
    subscriptions.get(company.caller(), company.subscription.sk)
    assert calls.take() == ["Query", "GetItem"]  # the first is the test's own


def test_the_account_is_found_by_its_keys(company: Company) -> None:
    assert company.account.sk == AccountRecord.SORT_KEY
    assert company.account.open_invoices is None
