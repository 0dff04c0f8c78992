"""A tenant, as its members see it."""

from datetime import datetime

from pydantic import BaseModel, Field

from identity.models.forms import DisplayName, Form, Mode, SuspensionReason, TenantStatus


class Tenant(BaseModel):
    """A company with an account of its own."""

    id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    company_name: str = Field(examples=["Acme Mail"])
    mode: Mode = Field(description="`test`: nothing is charged or sent.")
    status: TenantStatus = Field(
        description="`active`, or the gravest reason for which the account is suspended."
    )
    suspensions: list[SuspensionReason] = Field(description="All reasons that hold.")
    plan: str = Field(examples=["api_starter"])
    subscription_status: str | None = Field(
        examples=["trialing"], description="Null until billing has begun the subscription."
    )
    trial_ends_at: datetime | None
    owner_id: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    created_at: datetime
    updated_at: datetime
    version: int = Field(examples=[1], description="Send it with a change.")


class UpdateTenant(Form):
    """New data of a tenant, made from its `version`."""

    company_name: DisplayName = Field(examples=["Acme Mail Ltd"])
    version: int = Field(ge=1, strict=True, examples=[1])
