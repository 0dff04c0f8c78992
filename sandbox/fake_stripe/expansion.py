"""`expand[]`: ids in an answer become the objects they name: https://docs.stripe.com/expand."""

import copy
from typing import Any

from sandbox.fake_stripe import errors
from sandbox.fake_stripe.session import Session, type_of
from sandbox.storage import Json

EXPANDABLE = {
    "balance_transaction": {"source"},
    "charge": {"balance_transaction", "customer", "payment_intent"},
    "customer": {"invoice_settings.default_payment_method"},
    "payment_intent": {"customer", "latest_charge", "payment_method"},
    "payment_method": {"customer"},
    "refund": {"balance_transaction", "charge", "payment_intent"},
    "setup_attempt": {"customer", "payment_method", "setup_intent"},
    "setup_intent": {"customer", "latest_attempt", "payment_method"},
}
_DEEPEST = 4


def expand(session: Session, body: Json, paths: list[str]) -> Json:
    """A copy of an answer with some ids replaced by their objects."""
    expanded = copy.deepcopy(body) if paths else body
    for index, path in enumerate(paths):
        keys = path.split(".")
        if expanded.get("object") == "list":
            if keys[0] != "data" or len(keys) == 1:
                raise _refused(path, index)
            for element in expanded["data"]:
                _expand(session, element, keys[1:], path, index)
        else:
            _expand(session, expanded, keys, path, index)
    return expanded


def _expand(session: Session, body: Json, keys: list[str], path: str, index: int) -> None:
    if len(keys) > _DEEPEST:
        raise errors.invalid(
            f"expand[{index}]",
            f"You cannot expand more than {_DEEPEST} levels of a property (property: {path}).",
        )
    allowed = EXPANDABLE.get(body.get("object", ""), set())
    for taken in range(1, len(keys) + 1):
        field = ".".join(keys[:taken])
        if field in allowed:
            inner = _replace(session, body, field.split("."))
            rest = keys[taken:]
            if rest and isinstance(inner, dict):
                _expand(session, inner, rest, path, index)
            return
    raise _refused(path, index)


def _replace(session: Session, body: Json, field: list[str]) -> Any:
    holder = body
    for key in field[:-1]:
        holder = holder[key]
    value = holder[field[-1]]
    if isinstance(value, str):
        object_type = type_of(value)
        found = session.find(object_type, value) if object_type else None
        if found is not None:
            holder[field[-1]] = copy.deepcopy(found.body)
    return holder[field[-1]]


def _refused(path: str, index: int) -> errors.ApiError:
    return errors.invalid(f"expand[{index}]", f"This property cannot be expanded ({path}).")
