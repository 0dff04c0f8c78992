"""Billing periods and what they cost.

Plans anchored to their activation run from the end of the trial for a month at a time. Plans
anchored to the calendar run by calendar months, so their first period is the rest of the month in
which the trial ended: it costs the price's share of the whole UTC days that were left (what was
left of the day itself is free), rounded half-even. Where that is less than a card can be charged,
the following month is part of the first period at its full price. Periods begin where the one
before ended, so that no day is billed twice.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from billing.plans import PlanTerms, catalogue
from kernel.clock import next_month


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, in minor units."""

    description: str
    amount: int


@dataclass(frozen=True, slots=True)
class Period:
    """A period and the lines of its invoice."""

    starts_at: datetime
    ends_at: datetime
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        """Return what the period costs, in minor units."""
        return sum(line.amount for line in self.lines)


def first_period(plan: PlanTerms, starts_at: datetime) -> Period:
    """Return the first paid period of a plan whose trial ends at `starts_at` (UTC)."""
    if plan.anchor == "activation":
        ends_at = add_months(starts_at, 1)
        line = Line(f"{plan.title}, {_days(starts_at, ends_at)}", plan.price)
        return Period(starts_at, ends_at, (line,))
    month_ends = next_month(starts_at)
    lines = _rest_of_month(plan, starts_at, month_ends)
    if sum(line.amount for line in lines) >= catalogue().minimum_charge:
        return Period(starts_at, month_ends, lines)
    full = Line(f"{plan.title}, {month_ends:%B %Y}", plan.price)
    return Period(starts_at, next_month(month_ends), (*lines, full))


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day so many months later, or that month's last day where it is shorter."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _rest_of_month(plan: PlanTerms, starts_at: datetime, ends_at: datetime) -> tuple[Line, ...]:
    days_left = (ends_at - starts_at) // timedelta(days=1)
    days = monthrange(starts_at.year, starts_at.month)[1]
    if days_left == 0:
        return ()
    amount = round(Fraction(plan.price * days_left, days))
    first = ends_at - timedelta(days=days_left)
    return (Line(f"{plan.title}, {_days(first, ends_at)} ({days_left} of {days} days)", amount),)


def _days(starts_at: datetime, ends_at: datetime) -> str:
    """Return the days from the first to the last of a period, e.g. `28–30 November 2026`."""
    first, last = starts_at.date(), (ends_at - timedelta(microseconds=1)).date()
    if first == last:
        return f"{last.day} {last:%B %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%B %Y}"
    return f"{first.day} {first:%B %Y} – {last.day} {last:%B %Y}"
