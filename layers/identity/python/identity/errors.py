"""What identity refuses, each with its status and stable code."""

from kernel.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnprocessableError,
)


class InvalidCredentialsError(UnauthenticatedError):
    """The address or the password is wrong; which of them is not told."""

    code, title = "identity.credentials_invalid", "The address or the password is wrong"


class TotpRequiredError(UnauthenticatedError):
    """The password is right, and the account wants a second factor as well."""

    code, title = "identity.totp_required", "Send totp_code or recovery_code as well"


class InvalidSecondFactorError(UnauthenticatedError):
    """The code is wrong, too old, or has been used."""

    code, title = "identity.second_factor_invalid", "The code is wrong or has been used"


class SignInLockedError(TooManyRequestsError):
    """Too many failures with this address; `Retry-After` says how long it waits."""

    code, title = "identity.sign_in_locked", "Too many failed attempts; wait before the next"


class InvalidRefreshTokenError(UnauthenticatedError):
    """The refresh token is unknown or its session has ended."""

    code, title = "identity.refresh_token_invalid", "The session has ended; sign in again"


class RefreshTokenReusedError(UnauthenticatedError):
    """The refresh token was used before, so somebody may have copied it: the session ends."""

    code = "identity.refresh_token_reused"
    title = "The refresh token was used before; the session has been ended"


class PasswordWrongError(ForbiddenError):
    """The password that confirms a change is wrong."""

    code, title = "identity.password_wrong", "The password is wrong"


class CodeWrongError(ForbiddenError):
    """The code that confirms a change is wrong, too old, or has been used."""

    code, title = "identity.code_wrong", "The code is wrong or has been used"


class WeakPasswordError(UnprocessableError):
    """The password is easy to guess; the detail says why."""

    code, title = "identity.password_weak", "The password is too easy to guess"

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__(detail, errors=[FieldError(f"body.{field}", "password_weak", detail)])


class LinkInvalidError(NotFoundError):
    """The link is unknown, has been used, or is too old."""

    code, title = "identity.link_invalid", "The link is not valid (any more)"


class AddressTakenError(ConflictError):
    """Another registration for the address was verified first."""

    code, title = "identity.address_taken", "The address already belongs to an account"


class NoMembershipError(ForbiddenError):
    """The user does not belong to that tenant, or to none."""

    code, title = "identity.no_membership", "The account does not belong to this tenant"


class SessionNotFoundError(NotFoundError):
    """The user has no such session."""

    code, title = "identity.session_not_found", "There is no such session"


class TotpAlreadyEnabledError(ConflictError):
    """A second factor is enabled; disable it before another is enrolled."""

    code, title = "identity.totp_already_enabled", "A second factor is enabled already"


class TotpNotEnabledError(ConflictError):
    """No second factor is enabled, or none is being enrolled."""

    code, title = "identity.totp_not_enabled", "No second factor is enabled"


class ApiKeyNotFoundError(NotFoundError):
    """The tenant has no such API key, or it belongs to another member."""

    code, title = "identity.api_key_not_found", "There is no such API key"


class ApiKeyExpiredError(ConflictError):
    """The key's time is over: create another."""

    code, title = "identity.api_key_expired", "The API key has expired"


class PermissionsExceedError(ForbiddenError):
    """A key cannot be given what its creator does not hold."""

    code, title = "identity.permissions_exceed", "The key would hold more than its creator"


class TenantNotFoundError(NotFoundError):
    """There is no such tenant."""

    code, title = "identity.tenant_not_found", "There is no such tenant"


class NotSuspendedError(ConflictError):
    """The tenant is not suspended for this reason."""

    code, title = "identity.not_suspended", "The tenant is not suspended for this reason"
