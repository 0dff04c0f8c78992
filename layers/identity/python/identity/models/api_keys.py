"""API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from pydantic_core import PydanticCustomError

from identity.models.forms import DisplayName, Form
from kernel.permissions import KEY_PERMISSIONS

MAXIMUM_GRACE_SECONDS = 86_400


def _known(permissions: frozenset[str]) -> frozenset[str]:
    """Refuse permissions that no key can hold."""
    if unknown := sorted(permissions - KEY_PERMISSIONS):
        raise PydanticCustomError(
            "permission_unknown",
            "An API key cannot hold {unknown}; it can hold {possible}.",
            {"unknown": ", ".join(unknown), "possible": ", ".join(sorted(KEY_PERMISSIONS))},
        )
    return permissions


KeyPermissions = Annotated[
    frozenset[str],
    Field(
        min_length=1,
        json_schema_extra={"items": {"type": "string", "enum": sorted(KEY_PERMISSIONS)}},
        examples=[["tenant:read", "usage:read"]],
        description="At most what the creator may do.",
    ),
    AfterValidator(_known),
]


class CreateApiKey(Form):
    """A new API key."""

    name: DisplayName = Field(examples=["Production"])
    permissions: KeyPermissions
    expires_at: AwareDatetime | None = Field(
        default=None, examples=["2027-12-31T23:59:59Z"], description="By default never."
    )


class ApiKey(BaseModel):
    """An API key, without its secret."""

    id: str = Field(examples=["key_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    name: str = Field(examples=["Production"])
    hint: str = Field(examples=["sk_live_3f9a…c41b"], description="How its secret begins and ends.")
    permissions: list[str] = Field(examples=[["tenant:read", "usage:read"]])
    status: Literal["active", "expired"]
    created_by: str = Field(examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    rotated_at: datetime | None


class ApiKeyIssued(ApiKey):
    """An API key and its new secret, which is shown this once."""

    secret: str | None = Field(
        repr=False,
        examples=["sk_live_" + "3f9a" * 16],
        description="Null where a request is repeated: a secret is never shown twice.",
    )


class RotateApiKey(Form):
    """How long the old secret stays valid beside the new one."""

    grace_seconds: int = Field(
        default=0, ge=0, le=MAXIMUM_GRACE_SECONDS, strict=True, examples=[3_600]
    )
