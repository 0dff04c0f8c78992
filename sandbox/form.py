"""Form encoding with nested objects and lists as bracketed names, as Stripe and Lob take it.

`metadata[a]=b` is an object, `expand[0]=x` and `expand[]=x` are lists. Whether digits in brackets
are a list or keys of an object is the schema's to say, so they are parsed as an object here.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.storage import Json

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_DEEPEST = 10


class InvalidForm(ValueError):
    """A name that cannot be nested."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def parse(encoded: str) -> Json:
    """The parameters of a form body."""
    return nest(parse_qsl(encoded, keep_blank_values=True))


def nest(pairs: Iterable[tuple[str, str]]) -> Json:
    """Nest flat pairs by the brackets in their names."""
    tree: Json = {}
    for name, value in pairs:
        match = _NAME.match(name)
        if match is None:
            raise InvalidForm(f"Invalid parameter name: {name}", name)
        keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(keys) > _DEEPEST:
            raise InvalidForm(f"Parameter nested too deeply: {name}", name)
        _put(tree, keys, value, name)
    return tree


def _put(tree: Json, keys: list[str], value: str, name: str) -> None:
    node: Any = tree
    for key in keys[:-1]:
        node = node.setdefault(key or str(len(node)), {})
        if not isinstance(node, dict):
            raise InvalidForm(f"Invalid parameter: {name} is both a value and an object", name)
    node[keys[-1] or str(len(node))] = value
