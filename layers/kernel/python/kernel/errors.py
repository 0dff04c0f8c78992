"""The errors that callers see, each with its status and stable code.

    MailroomError                    500  internal
    ├── MalformedRequestError        400  request.malformed
    │   ├── InvalidCursorError       400  request.cursor_invalid
    │   └── InvalidIdempotencyKeyError 400 request.idempotency_key_invalid
    ├── UnauthenticatedError         401  auth.unauthenticated
    ├── ForbiddenError               403  auth.forbidden
    │   ├── PermissionDeniedError    403  auth.permission_denied
    │   └── TenantSuspendedError     403  tenant.suspended_<reason>
    ├── NotFoundError                404  resource.not_found
    ├── ConflictError                409  resource.conflict
    │   ├── VersionConflictError     409  resource.version_conflict
    │   └── RequestInFlightError     409  request.in_flight
    ├── PayloadTooLargeError         413  request.too_large
    ├── UnsupportedMediaTypeError    415  request.unsupported_media_type
    ├── UnprocessableError           422  request.invalid
    │   └── IdempotencyKeyReusedError 422 request.idempotency_key_reused
    ├── TooManyRequestsError         429  rate.limited
    │   └── QuotaExceededError       429  quota_exceeded
    └── UnavailableError             503  service.unavailable

A context derives its own from these: `class ApiKeyNotFoundError(NotFoundError)` with the code
`identity.api_key_not_found`. `kernel.problems` renders all of them as RFC 9457 documents.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One wrong field: where it is (`body.email`), a stable code and what to do."""

    field: str
    code: str
    message: str


class MailroomError(Exception):
    """Root of what callers see; `status` and `code` are fixed by class, `detail` is free text."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def problem_code(self) -> str:
        """Return the stable code of this occurrence."""
        return self.code


class MalformedRequestError(MailroomError):
    """The request cannot be read: malformed JSON or an unreadable header."""

    status, code, title = 400, "request.malformed", "The request cannot be read"


class InvalidCursorError(MalformedRequestError):
    """A pagination cursor that this list did not give out."""

    code, title = "request.cursor_invalid", "The cursor is not one that this list gave out"


class InvalidIdempotencyKeyError(MalformedRequestError):
    """An Idempotency-Key that is empty, too long or not printable ASCII."""

    code = "request.idempotency_key_invalid"
    title = "Idempotency-Key must be 1 to 255 printable ASCII characters"


class UnauthenticatedError(MailroomError):
    """No credentials, or ones that are not valid (any more)."""

    status, code, title = 401, "auth.unauthenticated", "Valid credentials are required"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="mailroom"'})


class ForbiddenError(MailroomError):
    """The caller is known and may not do this."""

    status, code, title = 403, "auth.forbidden", "This is not allowed"


class PermissionDeniedError(ForbiddenError):
    """The caller's role or key lacks a permission; the detail names it."""

    code, title = "auth.permission_denied", "The role or key lacks a permission"


class TenantSuspendedError(ForbiddenError):
    """The tenant is suspended; the code ends in the reason (`payment`, `abuse`, …)."""

    code, title = "tenant.suspended", "The account is suspended"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The account is suspended for {reason}.")
        self.reason = reason

    @property
    def problem_code(self) -> str:
        """Return `tenant.suspended_<reason>`."""
        return f"{self.code}_{self.reason}"


class NotFoundError(MailroomError):
    """Nothing of that id exists for this tenant."""

    status, code, title = 404, "resource.not_found", "There is no such resource"


class ConflictError(MailroomError):
    """The state of the resource does not allow this."""

    status, code, title = 409, "resource.conflict", "The state of the resource does not allow this"


class VersionConflictError(ConflictError):
    """Somebody else changed the resource first: read it again and repeat the change."""

    code, title = "resource.version_conflict", "The resource has changed since it was read"


class RequestInFlightError(ConflictError):
    """A request with the same Idempotency-Key, or on the same resource, is being worked on."""

    code, title = "request.in_flight", "The same request is being worked on; repeat it shortly"


class PayloadTooLargeError(MailroomError):
    """The body is larger than the endpoint takes."""

    status, code, title = 413, "request.too_large", "The body is too large"


class UnsupportedMediaTypeError(MailroomError):
    """The body is not JSON."""

    status, code, title = 415, "request.unsupported_media_type", "The body must be application/json"


class UnprocessableError(MailroomError):
    """The request can be read, but fields are wrong; `errors` names each."""

    status, code, title = 422, "request.invalid", "Some fields are not valid"


class IdempotencyKeyReusedError(UnprocessableError):
    """The Idempotency-Key was used before with another body."""

    code = "request.idempotency_key_reused"
    title = "The Idempotency-Key was used before with another request"


class TooManyRequestsError(MailroomError):
    """A rate window is full; `Retry-After` tells when it ends."""

    status, code, title = 429, "rate.limited", "Too many requests"


class QuotaExceededError(TooManyRequestsError):
    """The plan's monthly calls are used up."""

    code, title = "quota_exceeded", "The plan's calls for this month are used up"


class UnavailableError(MailroomError):
    """Something that the request needs does not answer; repeat it later."""

    status, code, title = 503, "service.unavailable", "Temporarily unavailable"
