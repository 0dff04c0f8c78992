"""Events, entitlements and flow steps of billing."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import Event
from kernel.money import Money

PLANS = ("api_free", "api_starter", "api_pro", "inbox_starter", "inbox_growth", "inbox_enterprise")
"""Names of the plans that can be registered for; `billing/plans.toml` says what they are."""

SubscriptionStatus = Literal["trialing", "active", "past_due", "suspended", "canceled"]


class Entitlements(BaseModel):
    """What a subscription allows; limits that are null are unlimited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls_per_minute: int | None = None
    calls_per_hour: int | None = None
    calls_per_day: int | None = None
    calls_per_month: int | None = Field(
        default=None, description="Refused beyond; null where overage is billed or none is counted."
    )
    inboxes: int = 0
    domains: int = 0


class SubscriptionChanged(Event, type="billing.subscription_changed"):
    """A subscription began, was charged, changed plan, fell behind or ended."""

    plan: str
    status: SubscriptionStatus
    trial_ends_at: datetime | None = None
    period_ends_at: datetime | None = None
    entitlements: Entitlements


class TrialEnding(Event, type="billing.trial_ending"):
    """A trial ends in three days; what happens then depends on whether a card is saved."""

    plan: str
    trial_ends_at: datetime
    price: Money = Field(description="The plan's price a month.")
    first_charge: Money | None = Field(
        default=None, description="What is charged when the trial ends: the first period's share."
    )
    has_payment_method: bool


class InvoicePaid(Event, type="billing.invoice_paid"):
    """An invoice was paid in full."""

    invoice_id: str
    total: Money
    description: str
    card: str | None = Field(default=None, description="E.g. `visa ending 4242`.")
    settles_account: bool = Field(description="No other invoice of the tenant is open.")


class PaymentFailed(Event, type="billing.payment_failed"):
    """An attempt to charge an invoice failed; `next_attempt_at` is null after the last."""

    invoice_id: str
    total: Money
    attempt: int
    reason: str
    next_attempt_at: datetime | None


class PaymentMethodSaved(Event, type="billing.payment_method_saved"):
    """A card was saved."""

    payment_method_id: str
    card: str


class PaymentMethodRemoved(Event, type="billing.payment_method_removed"):
    """A saved card was removed."""

    payment_method_id: str


class StripeWebhookReceived(Event, type="billing.stripe_webhook_received"):
    """A verified provider event was stored and waits to be worked on."""

    webhook_id: str
    connection_id: str
