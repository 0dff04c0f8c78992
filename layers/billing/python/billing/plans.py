"""The plan catalogue, `plans.toml`, typed."""

import tomllib
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from billing.errors import UnknownPlanError
from contracts.billing import Entitlements
from kernel.money import Currency, Money

Product = Literal["api", "inbox"]


class _Data(BaseModel):
    """Base of the catalogue's parts: what is misspelt is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrialTerms(_Data):
    """What a trial of any paid plan is."""

    days: int = Field(ge=1, examples=[7])
    reminder_days_before_end: int = Field(ge=1, examples=[3])
    inboxes: int = Field(ge=0, examples=[5])
    domains: int = Field(ge=0, examples=[1])

    @property
    def duration(self) -> timedelta:
        """Return how long a trial takes."""
        return timedelta(days=self.days)

    @property
    def reminder_after(self) -> timedelta:
        """Return how long after its beginning a trial's end is announced."""
        return timedelta(days=self.days - self.reminder_days_before_end)


class Dunning(_Data):
    """When an invoice is charged, in days after it is due; after the last comes suspension."""

    attempts_after_days: tuple[int, ...] = Field(min_length=1)

    def delay_before(self, attempt: int) -> timedelta | None:
        """Return how long after the due time an attempt (from 1) is made; None after the last."""
        if attempt > len(self.attempts_after_days):
            return None
        return timedelta(days=self.attempts_after_days[attempt - 1])


class PlanTerms(_Data):
    """One plan: its price in minor units a month and what that includes."""

    name: str
    title: str
    product: Product
    anchor: Literal["calendar", "activation"]
    currency: Currency
    price: int = Field(ge=0)
    included_calls: int | None = Field(default=None, ge=0)
    overage: int | None = Field(default=None, ge=1)
    calls_per_minute: int | None = Field(default=None, ge=1)
    calls_per_hour: int | None = Field(default=None, ge=1)
    calls_per_day: int | None = Field(default=None, ge=1)
    inboxes: int = Field(default=0, ge=0)
    domains: int = Field(default=0, ge=0)

    @property
    def is_paid(self) -> bool:
        """Tell whether the plan costs anything, hence begins with a trial."""
        return self.price > 0

    def money(self, amount: int) -> Money:
        """Return an amount in the plan's currency."""
        return Money(amount=amount, currency=self.currency)


class Catalogue(_Data):
    """All plans, and the terms that they share."""

    currency: Currency
    minimum_charge: int = Field(ge=0)
    trial: TrialTerms
    dunning: Dunning
    plans: dict[str, PlanTerms]


@cache
def catalogue() -> Catalogue:
    """Return the catalogue, read once per worker."""
    with Path(__file__).with_name("plans.toml").open("rb") as file:
        data = tomllib.load(file)
    for name, plan in data["plans"].items():
        plan |= {"name": name, "currency": data["currency"]}
    return Catalogue.model_validate(data)


def terms(plan: str) -> PlanTerms:
    """Return a plan; raises UnknownPlanError."""
    try:
        return catalogue().plans[plan]
    except KeyError as error:
        raise UnknownPlanError(f"There is no plan {plan}.") from error


def entitlements(plan: str, *, trialing: bool) -> Entitlements:
    """Return what a plan allows; a trial is as the plan, without overage and with few inboxes."""
    plan_terms, trial = terms(plan), catalogue().trial
    refuses_overage = trialing or plan_terms.overage is None
    return Entitlements(
        calls_per_minute=plan_terms.calls_per_minute,
        calls_per_hour=plan_terms.calls_per_hour,
        calls_per_day=plan_terms.calls_per_day,
        calls_per_month=plan_terms.included_calls if refuses_overage else None,
        inboxes=min(plan_terms.inboxes, trial.inboxes) if trialing else plan_terms.inboxes,
        domains=min(plan_terms.domains, trial.domains) if trialing else plan_terms.domains,
    )
