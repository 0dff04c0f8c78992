"""Stripe's lists: newest first, cursors by object id, `created` ranges."""

import operator
from collections.abc import Callable, Iterator

from sandbox.fake_stripe import errors
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

PARAMS = frozenset({"ending_before", "limit", "starting_after"})
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
MOST = 100


def page(
    session: Session,
    object_type: str,
    params: Json,
    url: str,
    wanted: Callable[[StoredObject], bool] = lambda _stored: True,
) -> Json:
    """One page of the objects of a type that are wanted."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= MOST:
        bound = f"less than or equal to {MOST}" if limit > MOST else "greater than or equal to 1"
        raise errors.invalid("limit", f"This value must be {bound}.", "parameter_invalid_integer")
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise errors.invalid(
            "starting_after",
            "You may only specify one of these parameters: ending_before, starting_after.",
            "parameters_exclusive",
        )
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None:
            session.named_in_param(object_type, cursor, name)
    matching = (
        stored.body
        for stored in _within(session, object_type, after, before)
        if wanted(stored) and _created_within(stored.body, params.get("created"))
    )
    if before:
        # The page ends right before the cursor: of the newer objects, the oldest.
        newer = list(matching)
        data, has_more = newer[-limit:], len(newer) > limit
    else:
        data = []
        has_more = False
        for body in matching:
            if len(data) == limit:
                has_more = True
                break
            data.append(body)
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _within(
    session: Session, object_type: str, after: str | None, before: str | None
) -> Iterator[StoredObject]:
    condition = None
    if after:
        condition = StoredObject.sk < after
    elif before:
        condition = StoredObject.sk > before
    return session.work.list(object_type, condition)


def _created_within(body: Json, bounds: Json | int | None) -> bool:
    if bounds is None:
        return True
    if isinstance(bounds, int):
        return bool(body["created"] == bounds)
    return all(_COMPARE[name](body["created"], bound) for name, bound in bounds.items())
