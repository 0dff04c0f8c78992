"""Masking of secrets in what the sandbox records and shows."""

from typing import Any

SECRET_FIELDS = frozenset(
    {"account_number", "client_secret", "cvc", "key", "number", "secret", "token"}
)


def mask(value: str) -> str:
    """A secret with all but its prefix and its last four characters hidden."""
    if len(value) < 12:
        return "****"
    prefix = value[: value.rfind("_", 0, 12) + 1]
    return f"{prefix}****{value[-4:]}"


def masked(value: Any) -> Any:
    """A copy of parsed parameters in which the secret fields are masked."""
    if isinstance(value, dict):
        return {
            key: mask(str(inner))
            if key in SECRET_FIELDS and not isinstance(inner, dict | list)
            else masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value
