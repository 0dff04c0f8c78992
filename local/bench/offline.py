"""The shipped handler without a network: only the HTTP transport below botocore is replaced."""

import base64
import importlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import jwt
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
TENANT = "tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"
USER = "usr_01jd3v8m5ke5c8qv0m5w6r3x2y"
SESSION = "ses_01jd3v8m5ke5c8qv0m5w6r3x2y"
API_KEY = "sk_live_" + "5" * 64
ISSUER = "https://mailroom.local"
BODY = {"company_name": "Acme Mail", "version": 1}


@dataclass
class _Raw:
    """The body stream that botocore reads."""

    content: bytes

    def stream(self) -> Any:
        yield self.content


@dataclass
class Transport:
    """Answers DynamoDB and KMS from memory, and remembers what was asked."""

    public_key: bytes
    calls: list[str] = field(default_factory=list)

    def send(self, request: Any) -> AWSResponse:
        """Stand in for `URLLib3Session.send`."""
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        body = json.loads(request.body)
        self.calls.append(f"{operation} {body.get('TableName', '')}".strip())
        content = json.dumps(getattr(self, operation)(body)).encode()
        headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse(request.url, 200, headers, _Raw(content))

    def GetPublicKey(self, _body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        """Answer KMS."""
        return {"PublicKey": base64.b64encode(self.public_key).decode()}

    def UpdateItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        """Answer the gate: the second call of its windows, with limits."""
        counters = [
            name
            for key, name in body.get("ExpressionAttributeNames", {}).items()
            if key.startswith("#w")
        ]
        limits = {"limit_user_minute": {"N": "100"}, "limit_key_minute": {"N": "60"}}
        return {"Attributes": {name: {"N": "2"} for name in counters} | limits}

    def GetItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        """Answer with the tenant's record, or the look-up of an API key."""
        if not body["Key"]["pk"]["S"].startswith("KEYHASH#"):
            return {"Item": _tenant_item()}
        item = {
            **body["Key"],
            "kind": {"S": "key"},
            "tenant_id": {"S": TENANT},
            "key_id": {"S": "key_01jd3v8m5ke5c8qv0m5w6r3x2y"},
            "user_id": {"S": USER},
            "role": {"S": "owner"},
            "permissions": {"SS": ["tenant:write"]},
        }
        return {"Item": item}

    def TransactWriteItems(self, _body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        """Accept every transaction."""
        return {}


def _tenant_item() -> dict[str, Any]:
    from identity.tables import TenantRecord

    now = datetime(2026, 11, 20, tzinfo=UTC)
    record = TenantRecord.at(
        TENANT,
        company_name="Acme Mail",
        mode="live",
        owner_id=USER,
        status="active",
        plan="api_starter",
        created_at=now,
        updated_at=now,
    )
    item: dict[str, Any] = record.serialize()
    return item


class Offline:
    """`PATCH /v1/tenant` as shipped, with credentials that it accepts."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.transport = Transport(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        self.private_key = key
        environment = {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",  # nosec B105 - no account's
            "AWS_LAMBDA_FUNCTION_NAME": "mailroom-local-identity-update_tenant",
            "POWERTOOLS_TRACE_DISABLED": "true",
            "MAILROOM_TOKEN_ISSUER": ISSUER,
        }
        self._patches: list[Any] = [
            patch.dict(os.environ, environment),
            patch.object(
                URLLib3Session,
                "send",
                self.transport.send,
            ),
        ]

    def __enter__(self) -> Self:
        for item in self._patches:
            item.start()
        sys.path[:0] = [str(ROOT / "functions" / "identity")]
        self.handler = importlib.import_module("update_tenant").handler
        from kernel import tokens

        kid = tokens.public_keys()[1]["kid"]
        claims = {
            "iss": ISSUER,
            "aud": "mailroom:tenant",
            "sub": USER,
            "sid": SESSION,
            "tid": TENANT,
            "role": "owner",
            "iat": time.time(),
            "exp": time.time() + 900,
        }
        token = jwt.encode(claims, self.private_key, algorithm="ES256", headers={"kid": kid})
        self.bearer = {"authorization": f"Bearer {token}"}
        self.api_key = {"x-api-key": API_KEY}
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for item in self._patches:
            item.stop()

    def event(self, headers: dict[str, str]) -> dict[str, Any]:
        """Return the HTTP API's event (payload 2.0) of the request."""
        return {
            "version": "2.0",
            "routeKey": "PATCH /v1/tenant",
            "rawPath": "/v1/tenant",
            "rawQueryString": "",
            "headers": {"content-type": "application/json", **headers},
            "requestContext": {
                "http": {
                    "method": "PATCH",
                    "path": "/v1/tenant",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "bench",
                },
                "requestId": "bench",
                "stage": "$default",
            },
            "body": json.dumps(BODY),
            "isBase64Encoded": False,
        }

    def handle(self, headers: dict[str, str]) -> dict[str, Any]:
        """Invoke the shipped handler."""
        response: dict[str, Any] = self.handler(self.event(headers), None)
        return response

    def before_operation(self) -> list[str]:
        """Return the DynamoDB calls that come before the operation's own."""
        calls = [call for call in self.transport.calls if not call.startswith("GetPublicKey")]
        writes = [index for index, call in enumerate(calls) if call.startswith("TransactWrite")]
        return calls[: writes[0]] if writes else calls
