"""The caller: a user's own account, password and second factor."""

from datetime import datetime

from pydantic import BaseModel, Field

from identity.models.forms import (
    AnyCode,
    DisplayName,
    Form,
    GivenPassword,
    Mode,
    NewPassword,
    SuspensionReason,
    TenantStatus,
    TotpCode,
)


class MeUser(BaseModel):
    """The user who calls."""

    id: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    email: str = Field(examples=["ada@acme.example"])
    name: str = Field(examples=["Ada Example"])
    totp_enabled: bool
    recovery_codes_left: int = Field(examples=[10])
    created_at: datetime


class MeTenant(BaseModel):
    """The tenant that the caller acts for."""

    id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    company_name: str = Field(examples=["Acme Mail"])
    mode: Mode
    plan: str = Field(examples=["api_starter"])
    status: TenantStatus
    suspensions: list[SuspensionReason]


class MeMembership(BaseModel):
    """One of the tenants that the user belongs to; sign in with its `tenant_id` to act for it."""

    tenant_id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    company_name: str = Field(examples=["Acme Mail"])
    role: str = Field(examples=["owner"])
    joined_at: datetime


class Me(BaseModel):
    """Who calls, for whom, and what they may do."""

    user: MeUser | None = Field(description="Null for an API key.")
    api_key_id: str | None = Field(examples=[None])
    session_id: str | None = Field(examples=["ses_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    role: str | None = Field(examples=["owner"], description="Null for an API key.")
    permissions: list[str] = Field(examples=[["api_keys:read", "api_keys:write"]])
    tenant: MeTenant
    trial_ends_at: datetime | None
    trial_days_remaining: int | None = Field(
        examples=[7], description="Days begun until the trial ends; null when none runs."
    )
    memberships: list[MeMembership]


class UpdateMe(Form):
    """The user's own data."""

    name: DisplayName = Field(examples=["Ada Example"])


class ChangePassword(Form):
    """The present password and a new one."""

    current_password: GivenPassword
    new_password: NewPassword


class EnrolTotp(Form):
    """The password that confirms the wish for a second factor."""

    password: GivenPassword


class TotpEnrolment(BaseModel):
    """A secret for an authenticator; it counts once a code of it was confirmed."""

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    otpauth_uri: str = Field(
        examples=["otpauth://totp/Mailroom:ada%40acme.example?secret=JBSW…&issuer=Mailroom"]
    )


class ConfirmTotp(Form):
    """A code of the authenticator that was just set up."""

    code: TotpCode


class ConfirmIdentity(Form):
    """Password and a code: what changes the second factor needs both."""

    password: GivenPassword
    code: AnyCode


class RecoveryCodes(BaseModel):
    """Codes that each replace the authenticator once; they are shown this one time."""

    recovery_codes: list[str] = Field(examples=[["k3mh-2xqa-7vbd-n5ty"]])
