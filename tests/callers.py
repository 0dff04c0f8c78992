"""Tenants, callers and requests, as tests need them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernel import tokens
from kernel.ids import new_id, new_tenant_id
from kernel.principals import Caller
from kernel.tables import GateRecord


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def http_event(
    method: str,
    path: str,
    *,
    body: object = None,
    text: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    ip: str = "203.0.113.7",
) -> dict[str, Any]:
    """Return the event (payload 2.0) of a request; `text` is a body that is sent as it is."""
    sent = text if text is not None else (json.dumps(body) if body is not None else None)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if sent is not None:
        given.setdefault("content-type", "application/json")
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": given,
        "queryStringParameters": dict(query or {}),
        "requestContext": {
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": ip,
                "userAgent": "tests",
            },
            "requestId": "request",
            "stage": "$default",
            "timeEpoch": 0,
        },
        "body": sent,
        "isBase64Encoded": False,
    }


def call(endpoint: Any, path: str | None = None, **request: Any) -> Answer:
    """Call an endpoint's handler as the HTTP API does; see `http_event`."""
    response = endpoint(http_event(endpoint.method, path or endpoint.path, **request), None)
    return Answer(response["statusCode"], response["headers"], response["body"])


def make_tenant(mode: str = "test", **gate_attributes: Any) -> str:
    """Create a tenant's gate item, active and hardly limited, and return the tenant's id."""
    tenant_id = new_tenant_id(mode)
    attributes: dict[str, Any] = {
        "status": "active",
        "limit_user_minute": 100,
        "limit_tenant_minute": 1_000,
        **gate_attributes,
    }
    GateRecord.for_tenant(tenant_id, **attributes).save()
    return tenant_id


def make_caller(tenant_id: str, **attributes: Any) -> Caller:
    """Return an owner of the tenant."""
    given: dict[str, Any] = {"user_id": new_id("usr"), "role": "owner", **attributes}
    return Caller(tenant_id=tenant_id, **given)


def bearer(tenant_id: str, *, role: str = "owner", **claims: Any) -> dict[str, str]:
    """Return the headers of a signed-in user; needs the fixture `keys`."""
    standard = {"sub": new_id("usr"), "sid": new_id("ses"), "tid": tenant_id, "role": role}
    return {"Authorization": f"Bearer {tokens.sign('tenant', standard | claims)}"}
