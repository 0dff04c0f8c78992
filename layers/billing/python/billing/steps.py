"""Inputs and outputs of billing's flows."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FlowData(BaseModel):
    """Base of what steps take and return."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrialConversion(FlowData):
    """Input of the flow that turns a trial into a paid subscription."""

    tenant_id: str
    subscription_id: str
    remind_at: datetime
    trial_ends_at: datetime


class TrialOfSubscription(FlowData):
    """Which trial a step is about."""

    tenant_id: str
    subscription_id: str


class TrialEndAnnounced(FlowData):
    """`over` where the subscription is no longer in its trial."""

    outcome: Literal["announced", "over"]


class FirstInvoiceFinalised(FlowData):
    """The invoice of the first period; none where the trial was ended otherwise."""

    outcome: Literal["finalised", "over"]
    invoice_id: str | None = None


class ChargeInvoice(FlowData):
    """Which invoice to charge, and the attempt's number in the dunning schedule, from 1."""

    tenant_id: str
    invoice_id: str
    attempt: int = Field(ge=1)


class InvoiceCharged(FlowData):
    """What became of an attempt.

    `failed` has `next_attempt_at` unless it was the last; `parked` means that the tenant is
    suspended for another reason than payment, and when to look again.
    """

    outcome: Literal["paid", "failed", "parked"]
    next_attempt_at: datetime | None = None
    resume_at: datetime | None = None
