"""E-mail addresses: one spelling each, so that one person has one account."""

import hashlib
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

MAXIMUM_LENGTH: Final = 254
"""RFC 5321 §4.5.3.1.3, without the angle brackets."""

_LOCAL_PART: Final = re.compile(
    r"(?=.{1,64}\Z)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z"
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_TOP_LEVEL: Final = re.compile(r"(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})\Z")


def normalise(address: str) -> str:
    """Return an address in lower case with its domain in A-labels (IDNA).

    Tags such as `+news` stay: they make another mailbox at many providers.
    Raises PydanticCustomError (`email_invalid`) for what cannot be an address.
    """
    local, _, domain = address.strip().lower().rpartition("@")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.split(".")
    plausible = (
        _LOCAL_PART.match(local)
        and len(labels) > 1
        and all(map(_LABEL.match, labels))
        and _TOP_LEVEL.match(labels[-1])
        and len(local) + 1 + len(ascii_domain) <= MAXIMUM_LENGTH
    )
    if not plausible:
        raise PydanticCustomError("email_invalid", "Give an e-mail address such as ada@acme.com.")
    return f"{local}@{ascii_domain}"


def digest(address: str) -> str:
    """Return the SHA-256 by which a normalised address is looked up."""
    return hashlib.sha256(address.encode()).hexdigest()


EmailAddress = Annotated[
    str,
    Field(
        max_length=MAXIMUM_LENGTH,
        json_schema_extra={"format": "email"},
        examples=["ada@acme.example"],
    ),
    AfterValidator(normalise),
]
