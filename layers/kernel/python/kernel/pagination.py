"""Cursors and pages: `{"data": […], "next_cursor": "…"}`."""

import base64
import binascii
from typing import Annotated, Final, Generic, TypeVar

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, Field

from kernel.errors import FieldError, InvalidCursorError

ItemT = TypeVar("ItemT")

MAXIMUM: Final = 100

Limit = Annotated[int, Query(ge=1, le=MAXIMUM, description="How many items a page holds.")]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the page before.")
]


class Page(BaseModel, Generic[ItemT]):
    """One page of a list; `next_cursor` is null on the last."""

    data: list[ItemT]
    next_cursor: str | None = Field(default=None, examples=[None])


def encode_cursor(sort_key: str | None) -> str | None:
    """Return the opaque cursor of a sort key. It holds no partition, hence no tenant."""
    if sort_key is None:
        return None
    return base64.urlsafe_b64encode(sort_key.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *, prefix: str) -> str | None:
    """Return the sort key of a cursor of the list whose sort keys begin with `prefix`.

    Raises InvalidCursorError for anything that the list cannot have given out.
    """
    if cursor is None:
        return None
    try:
        sort_key = base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), b"-_", validate=True
        ).decode()
    except (ValueError, binascii.Error):
        sort_key = ""
    if (
        not sort_key.startswith(prefix)
        or len(sort_key) <= len(prefix)
        or not sort_key.isprintable()
    ):
        error = FieldError(
            "query.cursor", "cursor_invalid", "Pass next_cursor of this list as it is."
        )
        raise InvalidCursorError(errors=[error])
    return sort_key
