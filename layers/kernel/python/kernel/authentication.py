"""Who calls: credentials to a principal, and its admission by the gate."""

import hashlib
from collections.abc import Mapping
from typing import Final

from kernel import gate, tokens
from kernel.errors import UnauthenticatedError
from kernel.gate import Access
from kernel.observability import logger
from kernel.permissions import of_role
from kernel.principals import Caller, Staff, Visitor

PLATFORM_GATE: Final = "PLATFORM"
"""The gate item that admits the platform's own staff."""


def authenticate_caller(
    headers: Mapping[str, str], visitor: Visitor, route: str, access: Access
) -> tuple[Caller, gate.Admission]:
    """Return the user or API key that calls, admitted; raises UnauthenticatedError and the gate's.

    A token costs one DynamoDB call, a key two (its consistent read and its admission).
    """
    secret, bearer = headers.get("x-api-key"), _bearer(headers)
    if secret and bearer:
        raise UnauthenticatedError("Send either X-API-Key or Authorization, not both.")
    if secret:
        return _authenticate_key(secret, visitor, route, access)
    claims = tokens.verify("tenant", _required(bearer))
    caller = Caller(
        ip=visitor.ip,
        user_agent=visitor.user_agent,
        request_id=visitor.request_id,
        tenant_id=claims["tid"],
        user_id=claims["sub"],
        session_id=claims["sid"],
        role=claims["role"],
        permissions=frozenset(claims.get("permissions", ())) or of_role(claims["role"]),
    )
    logger.append_keys(tenant_id=caller.tenant_id)
    admission = gate.admit_user(
        caller.tenant_id, caller.user_id, claims["sid"], claims["iat"], route, access
    )
    return caller, admission


def authenticate_staff(
    headers: Mapping[str, str], visitor: Visitor, route: str
) -> tuple[Staff, gate.Admission]:
    """Return the member of staff that calls, admitted by the platform's own gate item."""
    claims = tokens.verify("staff", _required(_bearer(headers)))
    staff = Staff(
        ip=visitor.ip,
        user_agent=visitor.user_agent,
        request_id=visitor.request_id,
        staff_id=claims["sub"],
        session_id=claims["sid"],
        role=claims["role"],
    )
    admission = gate.admit_user(
        PLATFORM_GATE, staff.staff_id, staff.session_id, claims["iat"], route, Access.CLOSED
    )
    return staff, admission


def hash_secret(secret: str) -> str:
    """Return the SHA-256 by which a generated secret is stored (it has 256 random bits)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _authenticate_key(
    secret: str, visitor: Visitor, route: str, access: Access
) -> tuple[Caller, gate.Admission]:
    record = gate.find_key(hash_secret(secret))
    if record is None or record.has_expired:
        raise UnauthenticatedError("The API key is not valid.")
    caller = Caller(
        ip=visitor.ip,
        user_agent=visitor.user_agent,
        request_id=visitor.request_id,
        tenant_id=record.tenant_id,
        kind="api_key",
        user_id=record.user_id,
        api_key_id=record.key_id,
        role=record.role,
        permissions=frozenset(record.permissions or ()),
    )
    logger.append_keys(tenant_id=caller.tenant_id, api_key_id=caller.api_key_id)
    return caller, gate.admit_key(caller.tenant_id, record.key_id, route, access)


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _required(bearer: str | None) -> str:
    if not bearer:
        raise UnauthenticatedError
    return bearer
