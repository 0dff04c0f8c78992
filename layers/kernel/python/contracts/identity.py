"""Events that identity publishes."""

from typing import Literal

from pydantic import Field

from contracts.events import Event

SuspensionReason = Literal["payment", "abuse", "blacklisted", "terms"]


class RegistrationRequested(Event, type="identity.registration_requested"):
    """Somebody filled in the registration form; nothing exists yet but the request itself."""

    email: str
    company_name: str
    sealed_token: str | None = Field(
        description="The verification link's secret, encrypted; null where the address is known."
    )


class TenantRegistered(Event, type="identity.tenant_registered"):
    """The owner's address is verified: tenant, owner and membership exist."""

    company_name: str
    plan: str
    mode: Literal["live", "test"]
    owner_id: str
    owner_email: str


class TenantUpdated(Event, type="identity.tenant_updated"):
    """The tenant's own data changed."""

    company_name: str


class PasswordResetRequested(Event, type="identity.password_reset_requested"):
    """A user asked for a new password; the link is good for an hour."""

    user_id: str
    email: str
    sealed_token: str


class PasswordChanged(Event, type="identity.password_changed"):
    """A password was changed or reset, and the user's other sessions ended."""

    user_id: str
    email: str


class ApiKeyCreated(Event, type="identity.api_key_created"):
    """An API key was created (or made by rotating another)."""

    key_id: str
    name: str
    created_by: str
    creator_email: str


class ApiKeyRevoked(Event, type="identity.api_key_revoked"):
    """An API key died."""

    key_id: str
    name: str


class TenantSuspended(Event, type="identity.tenant_suspended"):
    """The tenant's gate closed for a reason."""

    reason: SuspensionReason


class TenantReactivated(Event, type="identity.tenant_reactivated"):
    """A suspension was lifted; `open` tells whether no other reason remains."""

    reason: SuspensionReason
    open: bool
