"""Fields and the base class that bodies share."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

PASSWORD_MINIMUM: Final = 8
PASSWORD_MAXIMUM: Final = 256

Mode = Literal["live", "test"]
PlanName = Literal[
    "api_free", "api_starter", "api_pro", "inbox_starter", "inbox_growth", "inbox_enterprise"
]
"""`contracts.billing.PLANS` as a type; a test holds them equal."""

SuspensionReason = Literal["payment", "abuse", "blacklisted", "terms"]
TenantStatus = Literal["active", "payment", "abuse", "blacklisted", "terms"]

DisplayName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
"""A name that people read: no control characters, which could forge the lines of a mail."""

NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=PASSWORD_MINIMUM,
        max_length=PASSWORD_MAXIMUM,
        examples=["three unusual birds"],
        description="8 to 256 characters; not one that others would try first.",
    ),
]
GivenPassword = Annotated[
    SecretStr, Field(min_length=1, max_length=PASSWORD_MAXIMUM, examples=["three unusual birds"])
]
LinkToken = Annotated[
    str,
    Field(
        pattern=r"^lnk_[A-Za-z0-9_-]{43}$",
        examples=["lnk_Zx0r5S0Y9XbUu1Oa3mB7cQeN4kT8wLhJ2vG6pD-fRiE"],
        description="The secret behind `#token=` in the mailed link.",
    ),
]
TotpCode = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["492039"])]
RecoveryCode = Annotated[
    str,
    Field(
        pattern=r"^[a-z2-7]{4}(-[a-z2-7]{4}){3}$",
        examples=["k3mh-2xqa-7vbd-n5ty"],
        description="One of the codes shown when the second factor was enabled.",
    ),
]
AnyCode = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{6}|[a-z2-7]{4}(-[a-z2-7]{4}){3})$",
        examples=["492039"],
        description="The authenticator's code, or a recovery code.",
    ),
]


class Form(BaseModel):
    """Base of request bodies: a field that is not known is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")
