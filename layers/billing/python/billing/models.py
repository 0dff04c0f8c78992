"""What billing's API takes and shows."""

from datetime import datetime
from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel, ConfigDict, Field

from billing import plans
from billing.plans import PlanTerms
from billing.tables import (
    InvoiceRecord,
    LedgerEntryRecord,
    PaymentMethodRecord,
    SubscriptionRecord,
)
from contracts.billing import Entitlements, SubscriptionStatus
from kernel.ids import id_pattern
from kernel.money import Money

_ID = "01jd3v8m5ke5c8qv0m5w6r3x2y"
_MOMENT = "2026-11-20T12:00:00Z"

PaymentMethodId = Annotated[
    str, Field(pattern=id_pattern("card"), examples=[f"card_{_ID}"], description="A saved card.")
]

InvoicePath = Annotated[str, Path(pattern=id_pattern("inv"), examples=[f"inv_{_ID}"])]
PaymentMethodPath = Annotated[str, Path(pattern=id_pattern("card"), examples=[f"card_{_ID}"])]
SubscriptionPath = Annotated[str, Path(pattern=id_pattern("sub"), examples=[f"sub_{_ID}"])]


class Shown(BaseModel):
    """Base of what the API shows."""

    model_config = ConfigDict(frozen=True)


class Taken(BaseModel):
    """Base of what the API takes: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanTrial(Shown):
    """The trial that a paid plan begins with."""

    days: int = Field(examples=[7])
    entitlements: Entitlements


class Plan(Shown):
    """A plan that can be registered for; limits that are null are unlimited."""

    id: str = Field(examples=["api_starter"])
    title: str = Field(examples=["API Starter"])
    product: Literal["api", "inbox"]
    billing_anchor: Literal["calendar", "activation"] = Field(
        description="Whether periods are calendar months or begin with the activation."
    )
    monthly_price: Money
    included_calls: int | None = Field(examples=[10_000])
    overage_price: Money | None = Field(
        description="Price of each call beyond the included ones; null where they are refused."
    )
    entitlements: Entitlements
    trial: PlanTrial | None = Field(description="Null for free plans.")

    @classmethod
    def of(cls, terms: PlanTerms) -> Self:
        """Return a plan of the catalogue."""
        trial = PlanTrial(
            days=plans.catalogue().trial.days,
            entitlements=plans.entitlements(terms.name, trialing=True),
        )
        return cls(
            id=terms.name,
            title=terms.title,
            product=terms.product,
            billing_anchor=terms.anchor,
            monthly_price=terms.money(terms.price),
            included_calls=terms.included_calls,
            overage_price=terms.money(terms.overage) if terms.overage else None,
            entitlements=plans.entitlements(terms.name, trialing=False),
            trial=trial if terms.is_paid else None,
        )


class Subscription(Shown):
    """A tenant's plan of one product."""

    id: str = Field(examples=[f"sub_{_ID}"])
    product: Literal["api", "inbox"]
    plan: str = Field(examples=["api_starter"])
    status: SubscriptionStatus
    started_at: datetime = Field(examples=[_MOMENT])
    trial_ends_at: datetime | None = Field(examples=["2026-11-27T12:00:00Z"])
    period_starts_at: datetime | None = Field(description="Null until the first period is paid.")
    period_ends_at: datetime | None
    entitlements: Entitlements
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, record: SubscriptionRecord) -> Self:
        """Return a stored subscription."""
        return cls.model_validate(
            {name: getattr(record, name) for name in _SUBSCRIPTION_FIELDS}
            | {"id": record.sk, "entitlements": entitlements_of(record)}
        )


_SUBSCRIPTION_FIELDS = (
    "product", "plan", "status", "started_at", "trial_ends_at", "period_starts_at",
    "period_ends_at", "version",
)  # fmt: skip


def entitlements_of(record: SubscriptionRecord) -> Entitlements:
    """Return what a subscription allows: its trial's terms until its first period is paid."""
    is_paid_plan = plans.terms(record.plan).is_paid
    return plans.entitlements(record.plan, trialing=is_paid_plan and not record.is_converted)


class InvoiceLine(Shown):
    """One line of an invoice."""

    description: str = Field(examples=["API Starter, 28–30 November 2026 (3 of 30 days)"])
    amount: Money


class PaymentFailure(Shown):
    """Why the last attempt to charge failed."""

    code: str = Field(examples=["insufficient_funds"])
    message: str = Field(examples=["Your card has insufficient funds."])


class Invoice(Shown):
    """What is owed for one period."""

    id: str = Field(examples=[f"inv_{_ID}"])
    subscription_id: str = Field(examples=[f"sub_{_ID}"])
    status: Literal["open", "charging", "paid"] = Field(
        description="`charging` while an attempt to charge is under way."
    )
    total: Money
    refunded: Money
    lines: list[InvoiceLine]
    period_starts_at: datetime = Field(examples=[_MOMENT])
    period_ends_at: datetime
    finalised_at: datetime
    due_at: datetime
    paid_at: datetime | None
    next_attempt_at: datetime | None = Field(description="When it is charged next, by itself.")
    failure: PaymentFailure | None
    card: str | None = Field(examples=["visa ending 4242"])

    @classmethod
    def of(cls, record: InvoiceRecord) -> Self:
        """Return a stored invoice."""
        currency = record.currency
        return cls(
            id=record.sk,
            subscription_id=record.subscription_id,
            status=record.status,
            total=Money(amount=int(record.total), currency=currency),
            refunded=Money(amount=int(record.refunded), currency=currency),
            lines=[
                InvoiceLine(
                    description=line["description"],
                    amount=Money(amount=line["amount"], currency=currency),
                )
                for line in record.lines
            ],
            period_starts_at=record.period_starts_at,
            period_ends_at=record.period_ends_at,
            finalised_at=record.finalised_at,
            due_at=record.due_at,
            paid_at=record.paid_at,
            next_attempt_at=record.next_attempt_at,
            failure=PaymentFailure(**record.failure) if record.failure else None,
            card=record.card,
        )


class PayInvoice(Taken):
    """Which card to charge; the amount is the invoice's."""

    payment_method_id: PaymentMethodId | None = Field(
        default=None, description="The default card if absent."
    )


class PaymentMethod(Shown):
    """A saved card; its number is known to Stripe alone."""

    id: str = Field(examples=[f"card_{_ID}"])
    brand: str = Field(examples=["visa"])
    last4: str = Field(examples=["4242"])
    exp_month: int = Field(examples=[8])
    exp_year: int = Field(examples=[2030])
    is_default: bool
    created_at: datetime = Field(examples=[_MOMENT])

    @classmethod
    def of(cls, record: PaymentMethodRecord, *, default_id: str | None) -> Self:
        """Return a stored card."""
        return cls(
            id=record.sk,
            brand=record.brand,
            last4=record.last4,
            exp_month=int(record.exp_month),
            exp_year=int(record.exp_year),
            is_default=record.sk == default_id,
            created_at=record.created_at,
        )


class UpdatePaymentMethod(Taken):
    """Makes a card the default one; another takes its place only so."""

    is_default: Literal[True]


class SetupIntent(Shown):
    """What a frontend needs to save a card with Stripe.js, once."""

    id: str = Field(examples=[f"setup_{_ID}"])
    client_secret: str | None = Field(
        examples=["seti_1Pgag7B7WZ01zgkWSgwGdb8Z_secret_QXg2AQLd"],
        description="Shown once: null when a repeated request is answered.",
    )
    publishable_key: str = Field(examples=["pk_test_51Pgag7B7WZ01zgkW"])
    created_at: datetime = Field(examples=[_MOMENT])


class LedgerEntry(Shown):
    """One movement; positive amounts are owed by the tenant, negative ones were settled."""

    id: str = Field(examples=[f"led_{_ID}"])
    type: Literal["invoice", "payment", "refund", "credit"]
    amount: Money
    invoice_id: str = Field(examples=[f"inv_{_ID}"])
    occurred_at: datetime = Field(examples=[_MOMENT])

    @classmethod
    def of(cls, record: LedgerEntryRecord) -> Self:
        """Return a stored entry."""
        return cls.model_validate(
            {
                "id": record.sk,
                "type": record.type,
                "amount": Money(amount=int(record.amount), currency=record.currency),
                "invoice_id": record.invoice_id,
                "occurred_at": record.occurred_at,
            }
        )


class UsageSummary(Shown):
    """The API-key calls of a calendar month (UTC) that were admitted."""

    month: str = Field(examples=["2026-11"])
    used: int = Field(examples=[1_250])
    included: int | None = Field(examples=[10_000], description="Null where calls are unlimited.")
    remaining: int | None = Field(examples=[8_750], description="Of the included calls.")
    overage: int = Field(examples=[0], description="Calls beyond the included ones.")
    overage_charge: Money = Field(description="What the overage costs so far.")
    resets_at: datetime = Field(examples=["2026-12-01T00:00:00Z"])
