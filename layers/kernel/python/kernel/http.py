"""`endpoint`: one route, one Lambda. The signature says what the handler needs.

The first parameter is who is served, and decides the authentication:

    Caller    a user's bearer token or an API key, admitted by the tenant's gate
    Staff     a bearer token of the platform's own staff
    Visitor   nobody in particular: a public route, limited per IP and per address

The others are the body, path and query parameters, as in any Powertools resolver. Authentication
comes before validation, and errors are rendered here only.
"""

import base64
import binascii
import hashlib
import inspect
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
    OpenAPIResponseValidationMiddleware,
)

from kernel import authentication, gate, startup
from kernel.errors import (
    FieldError,
    IdempotencyKeyReusedError,
    InvalidIdempotencyKeyError,
    MailroomError,
    MalformedRequestError,
    PayloadTooLargeError,
    RequestInFlightError,
    UnsupportedMediaTypeError,
)
from kernel.gate import Access
from kernel.ids import new_id
from kernel.observability import logger, traced
from kernel.principals import Caller, IdempotencyKey, Staff, Visitor
from kernel.problems import render
from kernel.settings import KernelSettings, load
from kernel.tables import IdempotencyRecord, find
from kernel.transactions import IdempotencyRaceError

__all__ = ["Caller", "Endpoint", "Route", "Staff", "Visitor", "endpoint"]

MAXIMUM_BODY_BYTES: Final = 256 * 1024

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_REQUEST_ID: Final = re.compile(r"[\w.-]{8,128}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_CALLS_PER_ADDRESS: Final = 10
_ADDRESS_WINDOW_SECONDS: Final = 3_600

Middleware = Callable[[APIGatewayHttpResolver, NextMiddleware], Response[Any]]

Replay = Callable[[Caller, str], Any]
"""Reads again what an Idempotency-Key made, by its id, without its secrets."""


@dataclass(frozen=True, slots=True)
class Route:
    """What an endpoint declares; the CDK app, OpenAPI and the generated tests read it."""

    method: str
    path: str
    permission: str | None = None
    status: int = 200
    access: Access = Access.CLOSED
    replay: Replay | None = None
    errors: tuple[type[MailroomError], ...] = ()
    limited: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Endpoint:
    """The Lambda handler of one route of the HTTP API (payload 2.0)."""

    kind: Final = "endpoint"

    def __init__(self, function: Callable[..., Any], route: Route) -> None:
        signature = inspect.signature(function)
        principal, *parameters = signature.parameters.values()
        self.function, self.route = function, route
        self.method, self.path, self.permission = route.method, route.path, route.permission
        self.principal: type[Visitor] = principal.annotation
        self.public = self.principal is Visitor
        self.summary = (inspect.getdoc(inspect.getmodule(function)) or "").partition(": ")[2]
        self.resolver = APIGatewayHttpResolver(enable_validation=False)
        self.resolver.exception_handler(Exception)(self._render)
        self.resolver.route(
            re.sub(r"\{(\w+)\}", r"<\1>", route.path),
            route.method,
            summary=self.summary.partition("\n")[0],
            description=self.summary,
            operation_id=function.__module__.rpartition(".")[2],
            compress=True,
            middlewares=[
                _remembering(self._admit),
                OpenAPIRequestValidationMiddleware(),
                _remembering(self._prepare),
                OpenAPIResponseValidationMiddleware(has_response_validation_error=True),
            ],
        )(self._without_principal(signature, parameters))
        self._run = traced(self.resolver.resolve)
        startup.end()

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle an invocation of the Lambda function."""
        started = time.perf_counter()
        request_id = _request_id(event)
        extra: dict[str, str] = {}
        logger.clear_state()
        logger.append_keys(request_id=request_id, route=str(self.route))
        self.resolver.append_context(request_id=request_id, extra_headers=extra)
        response: dict[str, Any] = self._run(event, context)
        headers = SECURITY_HEADERS | extra | response["headers"] | {"X-Request-Id": request_id}
        if response["statusCode"] == 204:
            response["body"] = ""
            headers.pop("Content-Type", None)
        response["headers"] = headers
        duration = round((time.perf_counter() - started) * 1_000, 1)
        logger.info("Request", status=response["statusCode"], duration_milliseconds=duration)
        return response

    def _without_principal(
        self, signature: inspect.Signature, parameters: list[inspect.Parameter]
    ) -> Callable[..., Any]:
        """Return the function as the resolver sees it: who is served is none of the request."""

        def call(**arguments: Any) -> Any:
            result = self.function(self.resolver.context["principal"], **arguments)
            return result if isinstance(result, Response) else (result, self.route.status)

        returned = signature.return_annotation
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {item.name: item.annotation for item in parameters} | {
            "return": returned
        }
        return call

    def _admit(self, app: APIGatewayHttpResolver, following: NextMiddleware) -> Response[Any]:
        """Authenticate, admit and authorise, before anything of the request is believed."""
        event = app.current_event.raw_event
        headers = app.current_event.headers
        visitor = _visitor(event, app.context["request_id"])
        principal: Visitor = visitor
        if self.public:
            if self.route.limited:
                limit = load(KernelSettings).mailroom_public_calls_per_minute
                gate.limit_visitors("ip", visitor.ip, limit=limit)
        elif self.principal is Staff:
            principal, admission = authentication.authenticate_staff(
                headers, visitor, str(self.route)
            )
            app.context["extra_headers"].update(admission.headers)
        else:
            principal, admission = authentication.authenticate_caller(
                headers, visitor, str(self.route), self.route.access
            )
            app.context["extra_headers"].update(admission.headers)
            if self.permission:
                principal.require(self.permission)
        _check_body(event, headers)
        app.append_context(principal=principal)
        return following(app)

    def _prepare(self, app: APIGatewayHttpResolver, following: NextMiddleware) -> Response[Any]:
        """After validation: limit public calls per address, and answer repeated requests."""
        principal = app.context["principal"]
        if self.public:
            for argument in app.context["_route_args"].values():
                if address := getattr(argument, "email", None):
                    digest = hashlib.sha256(str(address).lower().encode()).hexdigest()
                    gate.limit_visitors(
                        f"address#{self.path}",
                        digest,
                        limit=_CALLS_PER_ADDRESS,
                        window_seconds=_ADDRESS_WINDOW_SECONDS,
                    )
        key = app.current_event.headers.get("idempotency-key")
        if self.route.replay is None or key is None:
            return following(app)
        return self._once(app, following, principal, key)

    def _once(
        self, app: APIGatewayHttpResolver, following: NextMiddleware, caller: Caller, key: str
    ) -> Response[Any]:
        """Run the operation, or answer with what the same request made before."""
        if not _IDEMPOTENCY_KEY.fullmatch(key):
            raise InvalidIdempotencyKeyError
        raw = f"{app.current_event.path}\n{app.current_event.body}".encode()
        request = IdempotencyKey(key, str(self.route), hashlib.sha256(raw).hexdigest())
        if (earlier := self._replay(app, caller, request)) is not None:
            return earlier
        app.append_context(principal=replace(caller, idempotency=request))
        try:
            return following(app)
        except IdempotencyRaceError as error:
            if (earlier := self._replay(app, caller, request)) is not None:
                return earlier
            raise RequestInFlightError from error

    def _replay(
        self, app: APIGatewayHttpResolver, caller: Caller, request: IdempotencyKey
    ) -> Response[Any] | None:
        keys = IdempotencyRecord.keys(caller.tenant_id, request.route, request.key)
        record = find(IdempotencyRecord, *keys)
        if record is None or self.route.replay is None:
            return None
        if record.body_hash != request.body_hash:
            error = FieldError(
                "header.idempotency-key", "reused", "Use a new key for another request."
            )
            raise IdempotencyKeyReusedError(errors=[error])
        resource = self.route.replay(caller, record.resource_id)
        app.context["extra_headers"]["Idempotent-Replayed"] = "true"
        return Response(
            status_code=self.route.status,
            content_type="application/json",
            body=resource.model_dump_json(),
        )

    def _render(self, error: Exception) -> Response[str]:
        return render(error, self.resolver.context["request_id"])


def endpoint(
    method: str,
    path: str,
    *,
    permission: str | None = None,
    status: int = 200,
    access: Access = Access.CLOSED,
    replay: Replay | None = None,
    errors: tuple[type[MailroomError], ...] = (),
    limited: bool = True,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function the Lambda handler of a route.

    `permission` is what a caller must hold, wholly or as `:own`; `access` which suspensions leave
    the route open; `replay` reads what an Idempotency-Key made before; `errors` are the
    operation's own, for the documentation (those of every route are known); `limited` is False
    for public routes that touch no data.
    """
    route = Route(method, path, permission, status, access, replay, errors, limited)
    return lambda function: Endpoint(function, route)


def _remembering(middleware: Middleware) -> Middleware:
    """Return a middleware that Powertools inspects once, as it notes the result on the function.

    A bound method takes no notes.
    """

    def call(app: APIGatewayHttpResolver, following: NextMiddleware) -> Response[Any]:
        return middleware(app, following)

    return call


def _visitor(event: Mapping[str, Any], request_id: str) -> Visitor:
    """Return who is at the other end; behind n trusted proxies the n-th last hop counts."""
    http = event["requestContext"]["http"]
    hops = [hop.strip() for hop in event["headers"].get("x-forwarded-for", "").split(",")]
    trusted = load(KernelSettings).mailroom_trusted_proxies
    ip = hops[-1 - trusted] if trusted and len(hops) > trusted else http.get("sourceIp", "")
    return Visitor(ip=ip, user_agent=http.get("userAgent", "")[:256], request_id=request_id)


def _request_id(event: Mapping[str, Any]) -> str:
    """Return the caller's X-Request-Id where it is well formed, else a new one."""
    given = (event.get("headers") or {}).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _check_body(event: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Refuse bodies that are too large, not UTF-8 or not JSON by their content type."""
    body = event.get("body") or ""
    if _size(body, is_base64=bool(event.get("isBase64Encoded"))) > MAXIMUM_BODY_BYTES:
        raise PayloadTooLargeError(f"A body may have {MAXIMUM_BODY_BYTES} bytes.")
    if not body:
        return
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaTypeError
    event["headers"] = {**event["headers"], "content-type": "application/json"}
    if event.get("isBase64Encoded"):
        try:
            event["body"] = base64.b64decode(body, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise MalformedRequestError("The body is not UTF-8.") from error
        event["isBase64Encoded"] = False
    if _SURROGATE.search(event["body"]):
        _check_pairs(event["body"])


def _check_pairs(body: str) -> None:
    """Refuse escapes of half a character (RFC 8259 §8.2): no database and no digest takes them."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MalformedRequestError("The body holds half of a surrogate pair.") from error
    except (ValueError, RecursionError):
        return  # the validation says what is wrong with it


def _size(body: str, *, is_base64: bool) -> int:
    """Return how many bytes a body has, which ASCII tells without encoding it."""
    if is_base64:
        return len(body) * 3 // 4
    return len(body) if body.isascii() else len(body.encode(errors="surrogatepass"))
