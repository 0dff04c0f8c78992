"""Roles as named sets of `resource:action[:own]`; a tenant's custom roles stand beside them."""

from typing import Final

_READ: Final = frozenset(
    {
        "api_keys:read", "audit_log:read", "billing:read", "members:read", "sessions:read:own",
        "tenant:read", "test_clock:read", "usage:read",
    }
)  # fmt: skip
_OWN: Final = frozenset({"sessions:read:own", "sessions:write:own", "tenant:read"})
_MANAGE: Final = frozenset(
    {"api_keys:write", "members:write", "sessions:write:own", "tenant:write", "test_clock:write"}
)

ROLES: Final[dict[str, frozenset[str]]] = {
    "owner": _READ | _MANAGE | {"billing:write", "members:write_roles", "tenant:delete"},
    "admin": _READ | _MANAGE,
    "member": _OWN | {"api_keys:read:own", "api_keys:write:own", "usage:read:own"},
    "operator": _OWN | {"members:read", "usage:read"},
    "developer": _OWN
    | {"api_keys:read", "api_keys:write", "test_clock:read", "test_clock:write", "usage:read"},
    "finance": _OWN | {"billing:read", "billing:write", "usage:read"},
    "viewer": _OWN | {"api_keys:read", "billing:read", "members:read", "usage:read"},
    "auditor": _READ | {"sessions:write:own"},
}
"""What each built-in role may do."""

KEY_PERMISSIONS: Final = frozenset(
    {"billing:read", "members:read", "tenant:read", "usage:read", "audit_log:read"}
)
"""What an API key can be given; keys never manage keys, roles, sessions or money."""


def of_role(role: str) -> frozenset[str]:
    """Return a built-in role's permissions; an unknown role has none."""
    return ROLES.get(role, frozenset())


def reaches(held: frozenset[str], wanted: frozenset[str]) -> bool:
    """Tell whether somebody who holds `held` may hand on all of `wanted`."""
    return wanted <= held
