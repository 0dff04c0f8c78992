"""`webhook`: a provider's calls on a Lambda URL, `/{connection_id}`.

The trigger reads the request and renders errors. What a delivery means is the operation's: verify
the signature on the raw bytes, refuse stale and future time stamps, dedupe, store, and leave the
work for later, so that the provider gets its 200 at once.
"""

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kernel import clock, startup
from kernel.errors import MalformedRequestError, NotFoundError, PayloadTooLargeError
from kernel.ids import new_id
from kernel.observability import logger, traced
from kernel.problems import render

MAXIMUM_BODY_BYTES: Final = 1024 * 1024

_CONNECTION: Final = re.compile(r"/([A-Za-z0-9_-]{1,64})/?")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a provider sent; header names are in lower case, the body is as it came."""

    connection_id: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Webhook:
    """The Lambda handler of a provider's webhook (Lambda URL, payload 2.0)."""

    kind: Final = "webhook"

    def __init__(self, function: Callable[[Delivery], None], provider: str) -> None:
        self.function, self.provider = function, provider
        self._run = traced(self._handle)
        startup.end()

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle an invocation of the Lambda function."""
        started = time.perf_counter()
        request_id = new_id("req")
        logger.clear_state()
        logger.append_keys(request_id=request_id, provider=self.provider)
        try:
            self._run(event, context)
        except Exception as error:  # noqa: BLE001 - errors are rendered here
            response = _refuse(error, request_id)
        else:
            response = {
                "statusCode": 200,
                "headers": {"Content-Type": "application/json"},
                "body": "{}",
            }
        response["headers"] |= {"X-Request-Id": request_id, "Cache-Control": "no-store"}
        duration = round((time.perf_counter() - started) * 1_000, 1)
        logger.info("Webhook", status=response["statusCode"], duration_milliseconds=duration)
        return response

    def _handle(self, event: dict[str, Any], _context: Any) -> None:
        delivery = _read(event)
        logger.append_keys(connection_id=delivery.connection_id)
        self.function(delivery)


def webhook(provider: str) -> Callable[[Callable[[Delivery], None]], Webhook]:
    """Make a function the Lambda handler of a provider's webhooks.

    Errors of `kernel.errors` become problem documents (401 for a signature that is not right);
    anything else is a 500, upon which providers deliver again.
    """
    return lambda function: Webhook(function, provider)


def _read(event: Mapping[str, Any]) -> Delivery:
    """Return the request as a delivery, or raise why it is none."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    path = _CONNECTION.fullmatch(event.get("rawPath") or "/")
    if method != "POST" or path is None:
        raise NotFoundError("Webhooks are delivered by POST to /{connection_id}.")
    encoded = event.get("body") or ""
    if len(encoded) > MAXIMUM_BODY_BYTES * 4 // 3 + 4:
        raise PayloadTooLargeError(f"A body may have {MAXIMUM_BODY_BYTES} bytes.")
    try:
        is_base64 = event.get("isBase64Encoded")
        body = base64.b64decode(encoded, validate=True) if is_base64 else encoded.encode()
    except (binascii.Error, ValueError) as error:
        raise MalformedRequestError("The body cannot be decoded.") from error
    if len(body) > MAXIMUM_BODY_BYTES:
        raise PayloadTooLargeError(f"A body may have {MAXIMUM_BODY_BYTES} bytes.")
    headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    return Delivery(path[1], headers, body, clock.wall())


def _refuse(error: Exception, request_id: str) -> dict[str, Any]:
    response = render(error, request_id)
    headers = {name: str(value) for name, value in response.headers.items()}
    return {
        "statusCode": response.status_code,
        "headers": headers | {"Content-Type": str(response.content_type)},
        "body": response.body,
    }
