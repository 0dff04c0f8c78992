import base64
import json
from typing import Any

import pytest

from kernel import clock
from kernel.errors import UnauthenticatedError, UnavailableError
from kernel.inbound import MAXIMUM_BODY_BYTES, Delivery, webhook


def request(
    path: str = "/acct_1", body: str | None = "{}", *, is_base64: bool = False, method: str = "POST"
) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {"Stripe-Signature": "t=1,v1=abc", "content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}},
        "body": body,
        "isBase64Encoded": is_base64,
    }


@pytest.fixture
def deliveries() -> list[Delivery]:
    return []


@pytest.fixture
def handler(deliveries: list[Delivery]) -> Any:
    @webhook("stripe")
    def handler(delivery: Delivery) -> None:
        deliveries.append(delivery)

    return handler


def test_passes_the_raw_bytes_on(handler: Any, deliveries: list[Delivery]) -> None:
    raw = b'{"amount": 1250,\r\n "name": "Z\xc3\xbcrich"}\xff'
    response = handler(request("/acct_1", base64.b64encode(raw).decode(), is_base64=True), None)

    assert response["statusCode"] == 200
    [delivery] = deliveries
    assert delivery.connection_id == "acct_1"
    assert delivery.body == raw
    assert delivery.headers["stripe-signature"] == "t=1,v1=abc"
    assert delivery.received_at <= clock.wall()
    assert (handler.kind, handler.provider) == ("webhook", "stripe")


def test_passes_a_text_body_on_as_utf_8(handler: Any, deliveries: list[Delivery]) -> None:
    handler(request(body='{"name": "Zürich"}'), None)

    assert deliveries[0].body == '{"name": "Zürich"}'.encode()


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (request("/"), 404, "resource.not_found"),
        (request("/a/b"), 404, "resource.not_found"),
        (request("/" + "x" * 65), 404, "resource.not_found"),
        (request("/%2e%2e"), 404, "resource.not_found"),
        (request(method="GET"), 404, "resource.not_found"),
        (request(body="%%%", is_base64=True), 400, "request.malformed"),
        (request(body="\ud800"), 400, "request.malformed"),
        (request(body="é" * MAXIMUM_BODY_BYTES), 413, "request.too_large"),
        (request(body="x" * (2 * MAXIMUM_BODY_BYTES)), 413, "request.too_large"),
        ({}, 404, "resource.not_found"),
    ],
)
def test_garbage_is_a_problem_and_never_a_500(
    handler: Any, deliveries: list[Delivery], event: dict[str, Any], status: int, code: str
) -> None:
    response = handler(event, None)
    document = json.loads(response["body"])

    assert (response["statusCode"], document["code"]) == (status, code)
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert document["request_id"] == response["headers"]["X-Request-Id"]
    assert deliveries == []


def test_the_largest_body_passes(handler: Any, deliveries: list[Delivery]) -> None:
    largest = base64.b64encode(b"x" * MAXIMUM_BODY_BYTES).decode()

    assert handler(request(body=largest, is_base64=True), None)["statusCode"] == 200


def test_a_body_may_be_absent(handler: Any, deliveries: list[Delivery]) -> None:
    assert handler(request(body=None), None)["statusCode"] == 200
    assert deliveries[0].body == b""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnauthenticatedError("The signature is not valid."), 401, "auth.unauthenticated"),
        (UnavailableError(), 503, "service.unavailable"),
        (RuntimeError("postgres://secret"), 500, "internal"),
    ],
)
def test_the_operations_errors_are_rendered(error: Exception, status: int, code: str) -> None:
    @webhook("stripe")
    def handler(delivery: Delivery) -> None:
        raise error

    response = handler(request(), None)
    assert (response["statusCode"], json.loads(response["body"])["code"]) == (status, code)
    assert "secret" not in response["body"]
