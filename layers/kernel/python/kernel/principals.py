"""Who acts: the first parameter of a handler says which of these it serves."""

from dataclasses import dataclass, field
from typing import Literal

from kernel.errors import PermissionDeniedError
from kernel.ids import is_test_tenant


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The Idempotency-Key of a request: the header, the route and a digest of the body."""

    key: str
    route: str
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody without credentials; handlers that take one are public."""

    ip: str = ""
    user_agent: str = ""
    request_id: str = ""

    @property
    def actor(self) -> dict[str, str]:
        """Return who acts, as the audit log keeps it."""
        return {"type": "visitor", "ip": self.ip}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Visitor):
    """A user (by membership) or an API key, acting for one tenant."""

    tenant_id: str
    kind: Literal["user", "api_key"] = "user"
    user_id: str
    api_key_id: str | None = None
    session_id: str | None = None
    role: str = ""
    permissions: frozenset[str] = field(default_factory=frozenset)
    idempotency: IdempotencyKey | None = None

    @property
    def mode(self) -> Literal["live", "test"]:
        """Return the mode of the caller's tenant."""
        return "test" if is_test_tenant(self.tenant_id) else "live"

    @property
    def actor(self) -> dict[str, str]:
        """Return who acts, as the audit log keeps it."""
        if self.kind == "api_key":
            return {"type": "api_key", "id": str(self.api_key_id), "ip": self.ip}
        return {"type": "user", "id": self.user_id, "ip": self.ip}

    def may(self, permission: str) -> bool:
        """Tell whether the caller holds a permission, wholly or for own resources."""
        return permission in self.permissions or f"{permission}:own" in self.permissions

    def owns_only(self, permission: str) -> bool:
        """Tell whether a permission reaches only the caller's own resources."""
        return permission not in self.permissions

    def require(self, permission: str) -> None:
        """Raise PermissionDeniedError when the caller holds the permission in no form."""
        if not self.may(permission):
            raise PermissionDeniedError(f"This needs the permission {permission}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff(Visitor):
    """A member of the platform's own staff, signed in with TOTP; every access is audited."""

    staff_id: str
    session_id: str
    role: str = "operator"

    @property
    def actor(self) -> dict[str, str]:
        """Return who acts, as the audit log keeps it."""
        return {"type": "staff", "id": self.staff_id, "ip": self.ip}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The platform itself: a flow, a subscriber or a schedule, named `billing/charge_invoice`."""

    name: str

    @property
    def actor(self) -> dict[str, str]:
        """Return who acts, as the audit log keeps it."""
        return {"type": "system", "id": self.name}


Principal = Visitor | Caller | Staff | System
