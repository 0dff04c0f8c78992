"""What AWS knows of a request when it evaluates a policy, and MiniStack 1.5.33 does not."""

import json
from collections.abc import Callable
from typing import Any

from local import settings


def supply_leading_keys(original: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Give IAM conditions the partition keys of a DynamoDB request (dynamodb:LeadingKeys)."""

    def context(body: bytes) -> dict[str, Any]:
        keys = leading_keys(body)
        return {**original(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}

    return context


def leading_keys(body: bytes) -> list[str]:
    """List the values of `pk` that a DynamoDB request names in keys, items and key conditions."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    found: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item)
        elif isinstance(node, dict):
            for name in ("Key", "Item"):
                if isinstance(value := node.get(name), dict) and isinstance(value.get("pk"), dict):
                    found.extend(map(str, value["pk"].values()))
            for key in node.get("Keys", []) if isinstance(node.get("Keys"), list) else []:
                found.extend(map(str, key.get("pk", {}).values()))
            found.extend(_queried_key(node))
            for value in node.values():
                visit(value)

    visit(request)
    return list(dict.fromkeys(found))


def _queried_key(request: dict[str, Any]) -> list[str]:
    """Read the partition key out of a Query's KeyConditionExpression."""
    expression = request.get("KeyConditionExpression")
    if not isinstance(expression, str):
        return []
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    tokens = expression.replace("(", " ").replace(")", " ").replace("=", " = ").split()
    for left, sign, right in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if sign == "=" and names.get(left, left) == "pk" and isinstance(values.get(right), dict):
            return [str(value) for value in values[right].values()]
    return []


def resolve_key_alias(original: Callable[..., str]) -> Callable[..., str]:
    """Authorise KMS calls on the key behind an alias, as AWS does."""

    def resource_arn(service: str, *args: Any, **named: Any) -> str:
        arn = original(service, *args, **named)
        if service == "kms" and ":alias/" in arn:
            from ministack.services import kms

            record = kms._resolve_key(arn.split(":", 5)[5])
            return str(record["Arn"]) if record else arn
        return arn

    return resource_arn


def resolve_sender(original: Callable[..., str]) -> Callable[..., str]:
    """Authorise SES v2 SendEmail on the sender's domain identity, as AWS does."""

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, *args: Any, **named: Any
    ) -> str:
        arn = original(service, method, path, headers, body, *args, **named)
        if service == "ses" and path.endswith("/outbound-emails"):
            return f"arn:aws:ses:{settings.REGION}:{settings.ACCOUNT_ID}:identity/{_sender(body)}"
        return arn

    return resource_arn


def _sender(body: bytes) -> str:
    """Read the domain that a SendEmail request sends from."""
    try:
        sender = str(json.loads(body or b"{}").get("FromEmailAddress", ""))
    except ValueError:
        return ""
    return sender.rpartition("@")[2].rstrip(">")


def supply_key_context(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Give IAM conditions the encryption context and alias of a KMS request."""

    def context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        keys = original(service, action, body, params)
        if service != "kms":
            return keys
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return keys
        key_id = str(request.get("KeyId", ""))
        if (at := key_id.find("alias/")) >= 0:
            keys = {**keys, "kms:RequestAlias": key_id[at:]}
        for name, value in (request.get("EncryptionContext") or {}).items():
            keys = {**keys, f"kms:EncryptionContext:{name}": value}
        return keys

    return context


def trust_transport(original: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    """Take every request for one over TLS, so that TLS-only policies need no local exception."""

    def pin(source_ip: str, _secure: bool) -> None:
        original(source_ip, True)

    return pin
