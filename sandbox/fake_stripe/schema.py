"""Checks parameters against `params.json` and converts them to their types.

The words and codes of the errors are Stripe's, as recalled from its documentation
(https://docs.stripe.com/error-codes) where a client may act on them.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.fake_stripe import errors
from sandbox.storage import Json

Schema = dict[str, Any]


@cache
def _data() -> Json:
    content: Json = json.loads(Path(__file__).with_name("params.json").read_text())
    return content


def api_version() -> str:
    """The API version whose parameters are known."""
    version: str = _data()["api_version"]
    return version


def validate(operation: str, raw: Json) -> Json:
    """The parameters of an operation with their types, or the error that Stripe answers."""
    definition = _data()["operations"][operation]
    unknown: list[str] = []
    params: Json = _convert(raw, {"$ref": definition}, "", unknown)
    if unknown:
        raise errors.unknown(unknown)
    _require(params, {"$ref": definition}, "")
    return params


def _convert(value: Any, schema: Schema, name: str, unknown: list[str]) -> Any:
    schema = _resolved(schema)
    if "anyOf" in schema:
        schema = _chosen(value, schema["anyOf"])
    if "enum" in schema:
        return _member(value, schema["enum"], name)
    match schema["type"]:
        case "object":
            return _object(value, schema, name, unknown)
        case "array":
            return _array(value, schema["items"], name, unknown)
        case scalar:
            return _scalar(value, scalar, name)


def _chosen(value: Any, members: list[Schema]) -> Schema:
    """The member of a union that a value is meant for: the shape decides, then the literals."""
    resolved = [_resolved(member) for member in members]
    if isinstance(value, dict):
        by_shape = [each for each in resolved if each.get("type") in ("object", "array")]
        return by_shape[0] if by_shape else resolved[-1]
    for each in resolved:
        if value in each.get("enum", []):
            return each
    if value in ("true", "false"):
        booleans = [each for each in resolved if each.get("type") == "boolean"]
        if booleans:
            return booleans[0]
    enums = [each for each in resolved if any(each.get("enum", []))]
    plain = [each for each in resolved if each.get("type") not in (None, "object", "array")]
    return (enums or plain or resolved)[-1]


def _object(value: Any, schema: Schema, name: str, unknown: list[str]) -> Json:
    if not isinstance(value, dict):
        raise errors.invalid(name, "Invalid object")
    if "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        return {
            key: "" if item == "" else _convert(item, inner, f"{name}[{key}]", unknown)
            for key, item in value.items()
        }
    if "properties" not in schema:
        return value
    converted: Json = {}
    for key, item in value.items():
        inner_name = f"{name}[{key}]" if name else key
        if key not in schema["properties"]:
            unknown.append(inner_name)
            continue
        converted[key] = _convert(item, schema["properties"][key], inner_name, unknown)
    return converted


def _array(value: Any, items: Schema, name: str, unknown: list[str]) -> list[Any]:
    if value == "":
        return []
    if not isinstance(value, dict) or not all(key.isdigit() for key in value):
        raise errors.invalid(name, "Invalid array")
    ordered = sorted(value.items(), key=lambda pair: int(pair[0]))
    return [_convert(item, items, f"{name}[{key}]", unknown) for key, item in ordered]


def _scalar(value: Any, type_name: str, name: str) -> Any:
    if not isinstance(value, str):
        raise errors.invalid(name, f"Invalid {type_name}")
    if type_name == "string":
        return value or None
    if value == "":
        raise _empty(name)
    if type_name == "boolean":
        if value not in ("true", "false"):
            raise errors.invalid(name, f"Invalid boolean: {value}")
        return value == "true"
    try:
        return int(value) if type_name == "integer" else float(value)
    except ValueError:
        raise errors.invalid(
            name, f"Invalid {type_name}: {value}", f"parameter_invalid_{type_name}"
        ) from None


def _member(value: Any, literals: list[Any], name: str) -> Any:
    if value in literals:
        return value
    if value == "":
        raise _empty(name)
    named = [str(literal) for literal in literals if literal != ""]
    listed = ", ".join(named[:-1]) + f", or {named[-1]}" if len(named) > 1 else named[0]
    raise errors.invalid(name, f"Invalid {name}: must be one of {listed}")


def _require(value: Any, schema: Schema, name: str) -> None:
    """Required parameters are asked for after unknown ones are refused, outermost first."""
    schema = _resolved(schema)
    if "anyOf" in schema:
        members = [_resolved(each) for each in schema["anyOf"]]
        shape = "object" if isinstance(value, dict) else "array"
        schema = next((each for each in members if each.get("type") == shape), {})
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _require(item, schema["items"], f"{name}[{index}]")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    for key in schema.get("required", []):
        if value.get(key) is None:
            raise errors.missing(f"{name}[{key}]" if name else key)
    for key, item in value.items():
        _require(item, schema["properties"][key], f"{name}[{key}]" if name else key)


def _resolved(schema: Schema) -> Schema:
    if "$ref" in schema:
        definition: Schema = _data()["definitions"][schema["$ref"]]
        return definition
    return schema


def _empty(name: str) -> errors.ApiError:
    return errors.invalid(
        name,
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset "
        f"a parameter; however '{name}' cannot be unset. You should remove '{name}' from your "
        "request or supply a non-empty value.",
        "parameter_invalid_empty",
    )
