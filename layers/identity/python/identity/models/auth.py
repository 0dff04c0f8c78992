"""Registering, signing in, refreshing, and passwords that were forgotten."""

from pydantic import BaseModel, Field

from identity.addresses import EmailAddress
from identity.models.forms import (
    DisplayName,
    Form,
    GivenPassword,
    LinkToken,
    Mode,
    NewPassword,
    PlanName,
    RecoveryCode,
    TenantStatus,
    TotpCode,
)
from kernel.ids import LIVE_TENANT, TEST_TENANT, id_pattern


class RegisterAccount(Form):
    """The registration form of a company."""

    company_name: DisplayName = Field(examples=["Acme Mail"])
    email: EmailAddress
    password: NewPassword
    plan: PlanName = Field(examples=["api_starter"])
    mode: Mode = Field(
        default="live",
        description="`test`: nothing is charged or sent, and the account may own a test clock.",
    )


class AddressForm(Form):
    """A form that asks for an address only."""

    email: EmailAddress


class MailPromised(BaseModel):
    """What is answered whoever the address belongs to: if something is to be mailed, it is."""

    email: str = Field(examples=["ada@acme.example"])
    expires_in: int = Field(examples=[86_400], description="Seconds for which a link is good.")


class VerifyEmail(Form):
    """The secret of the link in the verification mail."""

    token: LinkToken


class EmailVerified(BaseModel):
    """The account that a verified address made."""

    tenant_id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    user_id: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    email: str = Field(examples=["ada@acme.example"])


class ResetPassword(Form):
    """The secret of the link in the mail about a forgotten password, and a new one."""

    token: LinkToken
    new_password: NewPassword


class LogIn(Form):
    """Credentials; a code where the account has a second factor."""

    email: EmailAddress
    password: GivenPassword
    totp_code: TotpCode | None = None
    recovery_code: RecoveryCode | None = None
    tenant_id: str | None = Field(
        default=None,
        pattern=id_pattern(LIVE_TENANT, TEST_TENANT),
        description="Which of the user's tenants; by default the one joined first.",
    )


class RefreshSession(Form):
    """The refresh token of the session."""

    refresh_token: str = Field(
        min_length=1, max_length=256, repr=False, examples=["rt_01jd3v8m5ke5c8qv0m5w6r3x2y…"]
    )


class SessionTokens(BaseModel):
    """A new pair of tokens; the refresh token that was sent is used up."""

    access_token: str = Field(repr=False, examples=["eyJhbGciOiJFUzI1NiIs…"])
    token_type: str = Field(default="Bearer", examples=["Bearer"])
    expires_in: int = Field(examples=[900], description="Seconds until the access token ends.")
    refresh_token: str = Field(repr=False, examples=["rt_01jd3v8m5ke5c8qv0m5w6r3x2y…"])


class SignedInUser(BaseModel):
    """Who has signed in."""

    id: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    email: str = Field(examples=["ada@acme.example"])
    name: str = Field(examples=["Ada Example"])
    totp_enabled: bool


class SignedInTenant(BaseModel):
    """For which tenant, and as what."""

    id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    company_name: str = Field(examples=["Acme Mail"])
    mode: Mode
    status: TenantStatus
    role: str = Field(examples=["owner"])


class LoggedIn(SessionTokens):
    """A new session."""

    user: SignedInUser
    tenant: SignedInTenant
