from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import plans
from billing.periods import Period, add_months, first_period
from kernel.clock import next_month

EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 9 * 366 * 86_400).map(
    lambda seconds: EARLIEST + timedelta(seconds=seconds)
)
CALENDAR = st.sampled_from(["api_starter", "api_pro"])


def first(plan: str, year: int, month: int, day: int, *time: int) -> Period:
    hour, minute, second = (*time, 0, 0, 0)[:3]
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return first_period(plans.terms(plan), moment)


def test_an_activation_plan_runs_for_a_month_at_full_price() -> None:
    period = first("inbox_starter", 2026, 11, 27, 12)

    assert (period.starts_at, period.ends_at) == (
        datetime(2026, 11, 27, 12, tzinfo=UTC),
        datetime(2026, 12, 27, 12, tzinfo=UTC),
    )
    assert period.total == 97_00
    assert period.lines[0].description == "Inbox Starter, 27 November 2026 – 27 December 2026"


def test_a_calendar_plan_pays_its_share_of_the_rest_of_the_month() -> None:
    period = first("api_starter", 2026, 11, 27, 12)

    assert period.ends_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert period.total == 1_00
    assert period.lines[0].description == "API Starter, 28–30 November 2026 (3 of 30 days)"


def test_a_trial_that_ends_with_the_month_pays_for_the_next_one() -> None:
    period = first("api_starter", 2026, 11, 30, 0, 0, 1)

    assert period.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert period.total == 10_00
    assert [line.description for line in period.lines] == ["API Starter, December 2026"]


def test_days_too_cheap_to_charge_are_charged_with_the_next_month() -> None:
    period = first("api_starter", 2026, 11, 29, 12)

    assert period.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert [line.amount for line in period.lines] == [33, 10_00]
    assert period.lines[0].description == "API Starter, 30 November 2026 (1 of 30 days)"


def test_days_that_can_be_charged_are_not_held_back() -> None:
    assert first("api_pro", 2026, 11, 29, 12).ends_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_trial_that_ends_at_midnight_of_the_first_pays_the_month() -> None:
    period = first("api_starter", 2026, 12, 1)

    assert period.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert period.total == 10_00


@pytest.mark.parametrize(
    ("moment", "amount"),
    [((2026, 12, 12, 0), 6_45), ((2026, 12, 16, 12), 4_84), ((2028, 2, 1, 12), 9_66)],
)
def test_shares_are_rounded_to_whole_cents(moment: tuple[int, int, int, int], amount: int) -> None:
    assert first("api_starter", *moment).total == amount


def test_halves_are_rounded_to_even() -> None:
    plan = plans.terms("api_starter").model_copy(update={"price": 10_05})

    assert first_period(plan, datetime(2026, 11, 16, tzinfo=UTC)).total == 5_02
    assert (
        first_period(
            plan.model_copy(update={"price": 10_07}), datetime(2026, 11, 16, tzinfo=UTC)
        ).total
        == 5_04
    )


@given(plan=CALENDAR, moment=MOMENTS)
def test_a_calendar_period_ends_with_a_month_and_can_be_charged(
    plan: str, moment: datetime
) -> None:
    terms = plans.terms(plan)
    period = first_period(terms, moment)

    assert (period.ends_at.day, period.ends_at.hour, period.ends_at.minute) == (1, 0, 0)
    assert period.starts_at < period.ends_at
    assert plans.catalogue().minimum_charge <= period.total < 2 * terms.price
    assert period.ends_at in {next_month(moment), next_month(next_month(moment))}


@given(plan=CALENDAR, moment=MOMENTS)
def test_nobody_pays_more_than_the_price_for_a_day(plan: str, moment: datetime) -> None:
    terms = plans.terms(plan)
    period = first_period(terms, moment)
    days = (period.ends_at - period.starts_at) / timedelta(days=1)

    assert period.total <= terms.price * days / 28 + 1


@given(moment=MOMENTS, months=st.integers(1, 30))
def test_months_keep_the_day_or_take_the_last(moment: datetime, months: int) -> None:
    later = add_months(moment, months)

    assert (later.year * 12 + later.month) - (moment.year * 12 + moment.month) == months
    assert later.day == moment.day or (later + timedelta(days=1)).day == 1
    assert later.timetz() == moment.timetz()
