import pytest
from pydantic import ValidationError

from billing import plans
from billing.errors import UnknownPlanError
from billing.models import Plan
from contracts.billing import PLANS

EXPECTED = {
    # price, included, overage, minute, hour, day, inboxes, domains, anchor
    "api_free": (0, 1_000, None, 10, None, None, 0, 0, "calendar"),
    "api_starter": (10_00, 10_000, 1, 60, 1_000, 10_000, 0, 0, "calendar"),
    "api_pro": (50_00, None, None, 300, None, None, 0, 0, "calendar"),
    "inbox_starter": (97_00, 10_000, 1, 60, 1_000, 10_000, 50, 3, "activation"),
    "inbox_growth": (297_00, 50_000, 1, 100, 5_000, 50_000, 250, 10, "activation"),
    "inbox_enterprise": (997_00, 250_000, 1, 300, None, None, 1_000, 50, "activation"),
}


@pytest.mark.parametrize("name", PLANS)
def test_the_catalogue_is_the_design_s_table(name: str) -> None:
    plan = plans.terms(name)

    assert EXPECTED[name] == (
        plan.price,
        plan.included_calls,
        plan.overage,
        plan.calls_per_minute,
        plan.calls_per_hour,
        plan.calls_per_day,
        plan.inboxes,
        plan.domains,
        plan.anchor,
    )
    assert plan.product == name.partition("_")[0]
    assert plan.currency == "USD"


def test_the_catalogue_holds_the_plans_that_can_be_registered_for() -> None:
    assert tuple(plans.catalogue().plans) == PLANS


def test_a_free_plan_refuses_calls_beyond_its_quota() -> None:
    allowed = plans.entitlements("api_free", trialing=False)

    assert allowed.calls_per_month == 1_000


def test_where_overage_is_billed_no_call_is_refused() -> None:
    assert plans.entitlements("api_starter", trialing=False).calls_per_month is None
    assert plans.entitlements("api_pro", trialing=False).calls_per_month is None


def test_a_trial_is_as_the_plan_without_overage_and_with_few_inboxes() -> None:
    trial = plans.entitlements("inbox_growth", trialing=True)

    assert trial.calls_per_month == 50_000
    assert (trial.calls_per_minute, trial.calls_per_hour) == (100, 5_000)
    assert (trial.inboxes, trial.domains) == (5, 1)
    assert plans.entitlements("inbox_growth", trialing=False).inboxes == 250


def test_a_trial_gives_no_inboxes_to_a_plan_that_has_none() -> None:
    assert plans.entitlements("api_starter", trialing=True).inboxes == 0


def test_attempts_are_made_on_days_8_10_and_13() -> None:
    trial, dunning = plans.catalogue().trial, plans.catalogue().dunning
    delays = [dunning.delay_before(number) for number in (1, 2, 3)]

    assert [trial.days + delay.days + 1 for delay in delays if delay is not None] == [8, 10, 13]
    assert dunning.delay_before(4) is None


def test_an_unknown_plan_is_refused() -> None:
    with pytest.raises(UnknownPlanError):
        plans.terms("api_gold")


def test_a_misspelt_field_of_the_catalogue_is_refused() -> None:
    data = plans.terms("api_pro").model_dump() | {"pirce": 1}

    with pytest.raises(ValidationError, match="pirce"):
        plans.PlanTerms.model_validate(data)


def test_plans_are_shown_with_their_trial() -> None:
    free, starter = Plan.of(plans.terms("api_free")), Plan.of(plans.terms("api_starter"))

    assert free.trial is None
    assert free.overage_price is None
    assert starter.trial is not None
    assert starter.trial.days == 7
    assert starter.overage_price is not None
    assert starter.overage_price.amount == 1
