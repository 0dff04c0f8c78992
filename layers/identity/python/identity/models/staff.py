"""Platform staff: signing in, and tenants as staff see them."""

from datetime import datetime

from pydantic import BaseModel, Field

from identity.addresses import EmailAddress
from identity.models.forms import Form, GivenPassword, SuspensionReason, TotpCode
from identity.models.tenants import Tenant


class LogInStaff(Form):
    """Credentials of a member of staff; the code is not optional."""

    email: EmailAddress
    password: GivenPassword
    totp_code: TotpCode


class StaffLoggedIn(BaseModel):
    """A short session of a member of staff; it cannot be refreshed."""

    access_token: str = Field(repr=False, examples=["eyJhbGciOiJFUzI1NiIs…"])
    token_type: str = Field(default="Bearer", examples=["Bearer"])
    expires_in: int = Field(examples=[1_800])
    staff_id: str = Field(examples=["stf_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    role: str = Field(examples=["operator"])


class TenantMember(BaseModel):
    """A member of a tenant."""

    user_id: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    email: str = Field(examples=["ada@acme.example"])
    role: str = Field(examples=["owner"])
    joined_at: datetime


class TenantSuspension(BaseModel):
    """One reason for which a tenant is suspended."""

    reason: SuspensionReason
    note: str = Field(examples=["Complaints about unsolicited mail."])
    by: str = Field(examples=["stf_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    at: datetime


class InspectedTenant(Tenant):
    """A tenant with what only staff see of it."""

    suspension_details: list[TenantSuspension]


class TenantFile(InspectedTenant):
    """A tenant with its first members."""

    members: list[TenantMember]


class SuspendTenant(Form):
    """Why a tenant is suspended."""

    reason: SuspensionReason
    note: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$",
        examples=["Complaints about unsolicited mail."],
        description="For staff; the tenant does not see it.",
    )


class ReactivateTenant(Form):
    """Which reason no longer holds."""

    reason: SuspensionReason
