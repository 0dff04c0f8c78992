"""Stripe's error envelope: https://docs.stripe.com/api/errors."""

from sandbox.storage import Json

API_ERROR = "api_error"
CARD_ERROR = "card_error"
IDEMPOTENCY_ERROR = "idempotency_error"
INVALID_REQUEST = "invalid_request_error"


class ApiError(Exception):
    """An error answer. `persists` says that what the request changed stays, as with a decline."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        persists: bool = False,
        details: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.persists = persists
        self.details = details or {}

    def body(self) -> Json:
        """The object under `error`, without what only the gateway knows."""
        content: Json = {
            "code": self.code,
            "doc_url": self.code and f"https://stripe.com/docs/error-codes/{self._page()}",
            "message": self.message,
            "param": self.param,
            "type": self.kind,
            **self.details,
        }
        return {name: value for name, value in content.items() if value is not None}

    def _page(self) -> str:
        return (self.code or "").replace("_", "-")


def missing(param: str) -> ApiError:
    """A required parameter is absent."""
    return ApiError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(params: list[str]) -> ApiError:
    """Parameters that the endpoint does not have."""
    plural = "s" if len(params) > 1 else ""
    return ApiError(
        400,
        f"Received unknown parameter{plural}: {', '.join(params)}",
        code="parameter_unknown",
        param=params[0],
    )


def invalid(param: str, message: str, code: str | None = None) -> ApiError:
    """A parameter whose value cannot be."""
    return ApiError(400, message, code=code, param=param)


def no_such(object_type: str, object_id: str, param: str, status: int = 400) -> ApiError:
    """An id that names nothing: 404 in the path, 400 in a parameter."""
    named = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}
    return ApiError(
        status,
        f"No such {named.get(object_type, object_type)}: '{object_id}'",
        code="resource_missing",
        param=param,
    )


def unimplemented(operation: str, params: list[str]) -> ApiError:
    """Parameters that Stripe has and the sandbox does not act on: refused, never ignored."""
    return ApiError(
        400,
        f"The sandbox does not implement {', '.join(params)} of {operation}.",
        code="sandbox_unimplemented",
        param=params[0],
    )
