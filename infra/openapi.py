"""What the tree says of itself: `python -m infra.openapi` writes `functions/kernel/openapi.json`.

Each endpoint describes its own route; here they become one OpenAPI 3.1 document, with the errors
that every route can answer, security, examples, and tags by context. The list of subscribers
(`infra.subscribers`) is written with it.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi import OpenAPIMerge

from infra import subscribers
from infra.cdk import tree
from kernel import errors, permissions
from kernel.errors import MailroomError
from kernel.gate import Access
from kernel.http import Endpoint, Staff
from kernel.problems import MEDIA_TYPE, Problem, problem_of

FILE: Final = tree.ROOT / "functions" / "kernel" / "openapi.json"
UNPUBLISHED: Final = frozenset({"/docs", "/docs/problems", "/openapi.json"})

_ID_SUFFIX: Final = "01jd3v8m5ke5c8qv0m5w6r3x2y"
_ID_PATTERN: Final = re.compile(r"\^\(\?:([a-z_]+)[|)]")
"""What patterns of `kernel.ids.id_pattern` begin with."""
_REQUEST_ID: Final = f"req_{_ID_SUFFIX}"
_UNUSED: Final = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
_SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's access token, from `POST /v1/auth/login`.",
    },
    "staff": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the platform's own staff, from `POST /v1/staff/login`.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key, `sk_live_…` or `sk_test_…`.",
    },
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes repeating the request harmless for a day: the answer is what the first "
    "one made, with `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "5f3c1a9e-7d0b-4f4e-9a34-0f6d6b1f0c57",
}
_EXAMPLES_OF_FORMATS: Final = {
    "date-time": "2026-11-20T11:15:00Z",
    "date": "2026-11-20",
    "email": "ada@example.com",
    "uri": "https://example.com",
}
_EXAMPLES_OF_TYPES: Final[dict[str, Any]] = {
    "string": "text",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "null": None,
    "object": {},
}


class CollisionError(Exception):
    """Two routes, operations or models have one name; clients could not tell them apart."""


def endpoints() -> Iterator[tuple[str, Endpoint]]:
    """Yield each published endpoint with its context."""
    for context in tree.contexts():
        for file in sorted(tree.function_files(context)):
            trigger = tree.handler(context, file)
            if trigger.kind == "endpoint" and trigger.path not in UNPUBLISHED:
                yield context, trigger


def build(published: Iterable[tuple[str, Endpoint]]) -> dict[str, Any]:
    """Return the document of the endpoints; raises CollisionError."""
    merge = OpenAPIMerge(
        title="Mailroom",
        version="1",
        description="A serverless back office. Errors are RFC 9457 documents with a stable `code`.",
        on_conflict="error",
    )
    schemas: dict[str, Any] = {}
    examples: dict[str, Any] = {}
    operations: set[str] = set()
    contexts: set[str] = set()
    for context, endpoint in published:
        document = _describe(endpoint, context, examples)
        _collect(schemas, document["components"]["schemas"], endpoint)
        [operation] = next(iter(document["paths"].values())).values()
        if operation["operationId"] in operations:
            raise CollisionError(f"Two functions are called {operation['operationId']}")
        operations.add(operation["operationId"])
        contexts.add(context)
        merge.add_schema(document)
    schemas |= _problem_schemas()
    merged: dict[str, Any] = json.loads(json.dumps(merge.get_openapi_schema()))
    merged["components"] = {
        "examples": examples,
        "schemas": schemas,
        "securitySchemes": _SECURITY_SCHEMES,
    }
    merged["tags"] = [{"name": context} for context in sorted(contexts)]
    _add_examples(merged)
    return merged


def render(document: Mapping[str, Any]) -> str:
    """Return the document as it lies in the tree."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _describe(endpoint: Endpoint, context: str, examples: dict[str, Any]) -> dict[str, Any]:
    """Return the document of one route; adds its problems to `examples`."""
    schema = endpoint.resolver.get_openapi_schema(title="Mailroom", version="1")
    document: dict[str, Any] = json.loads(schema.model_dump_json(by_alias=True, exclude_none=True))
    [operation] = next(iter(document["paths"].values())).values()
    document.setdefault("components", {}).setdefault("schemas", {})
    for name in _UNUSED:
        document["components"]["schemas"].pop(name, None)
    operation["tags"] = [context]
    operation["summary"] = _sentence(operation.get("summary", "")).rstrip(".")
    operation["description"] = _description(endpoint)
    operation["security"] = _security(endpoint)
    operation["x-access"] = str(endpoint.route.access)
    operation["responses"] = _responses(endpoint, operation, examples)
    if endpoint.route.replay is not None:
        operation["parameters"] = [*operation.get("parameters", []), _IDEMPOTENCY_KEY]
    return document


def _description(endpoint: Endpoint) -> str:
    parts = [_sentence(endpoint.summary)]
    if endpoint.permission:
        parts.append(f"Needs the permission `{endpoint.permission}`.")
    return "\n\n".join(parts)


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    """Return who may call: nobody in particular, users, and keys where they can be allowed to."""
    if endpoint.public:
        return []
    if endpoint.principal is Staff:
        return [{"staff": []}]
    user: dict[str, list[str]] = {"bearer": []}
    wanted = endpoint.permission
    if wanted and wanted not in permissions.KEY_PERMISSIONS:
        return [user]
    return [user, {"api_key": []}]


def _responses(
    endpoint: Endpoint, operation: Mapping[str, Any], examples: dict[str, Any]
) -> dict[str, Any]:
    """Return the success under its own status, and every error that the route can answer."""
    success = {**operation["responses"]["200"], "description": "Done"}
    if endpoint.route.status == 204:
        success.pop("content", None)
    by_status: dict[int, list[MailroomError]] = defaultdict(list)
    for error in _errors(endpoint, operation):
        by_status[error.status].append(error)
        value = problem_of(error, _REQUEST_ID)
        examples[error.problem_code] = {"summary": error.title, "value": value}
    failures = {
        str(status): {
            "description": "; ".join(dict.fromkeys(error.title for error in found)),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        error.problem_code: {"$ref": f"#/components/examples/{error.problem_code}"}
                        for error in found
                    },
                }
            },
        }
        for status, found in by_status.items()
    }
    return {str(endpoint.route.status): success} | failures


def _errors(endpoint: Endpoint, operation: Mapping[str, Any]) -> Iterator[MailroomError]:
    """Yield the errors of the route: those of its kind, then the operation's own."""
    if not endpoint.public:
        yield from _errors_of_callers(endpoint)
    if not endpoint.public or endpoint.route.limited:
        yield errors.TooManyRequestsError()
        yield errors.UnavailableError()
    yield from _errors_of_input(operation)
    if endpoint.route.replay is not None:
        yield errors.InvalidIdempotencyKeyError()
        yield errors.RequestInFlightError()
        yield errors.IdempotencyKeyReusedError()
    for error in endpoint.route.errors:
        yield _instance(error)


def _errors_of_callers(endpoint: Endpoint) -> Iterator[MailroomError]:
    access = endpoint.route.access
    yield errors.UnauthenticatedError()
    if endpoint.permission:
        yield errors.PermissionDeniedError()
    if endpoint.principal is not Staff and access is not Access.OPEN:
        yield errors.TenantSuspendedError("abuse")
        if access is Access.CLOSED:
            yield errors.TenantSuspendedError("payment")
    if {"api_key": []} in _security(endpoint):
        yield errors.QuotaExceededError()


def _errors_of_input(operation: Mapping[str, Any]) -> Iterator[MailroomError]:
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "requestBody" in operation:
        yield errors.MalformedRequestError()
        yield errors.PayloadTooLargeError()
        yield errors.UnsupportedMediaTypeError()
    if "requestBody" in operation or parameters:
        place = errors.FieldError("body.name", "missing", "Field required")
        yield errors.UnprocessableError(errors=[place])
    if "cursor" in parameters:
        yield errors.InvalidCursorError()


def _instance(error: type[MailroomError]) -> MailroomError:
    """Return an error with its class' own text, whatever else its constructor asks for."""
    if issubclass(error, errors.TenantSuspendedError):
        return error("payment")
    instance = error.__new__(error)
    MailroomError.__init__(instance)
    return instance


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _collect(schemas: dict[str, Any], found: Mapping[str, Any], endpoint: Endpoint) -> None:
    """Add models; one name stands for one model in the whole API."""
    for name, schema in found.items():
        if schemas.setdefault(name, schema) != schema:
            raise CollisionError(f"{endpoint.route}: there is another model called {name}")


def _problem_schemas() -> dict[str, Any]:
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**problem.pop("$defs"), "Problem": problem}


def _add_examples(document: dict[str, Any]) -> None:
    """Give every JSON body an example, made of the examples of its fields."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                content = body.get("content", {}).get("application/json")
                if content is not None and "examples" not in content:
                    content["example"] = example_of(content["schema"], schemas)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return a value of the schema, by its examples where it has any."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    given = [value for key in ("examples", "enum") for value in schema.get(key, ())]
    given += [schema[key] for key in ("const", "default") if key in schema]
    if given:
        return given[0]
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example_of(choices[0], schemas)
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: example_of(field, schemas) for name, field in fields}
    return _example_of_type(schema, schemas)


def _example_of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), schemas)]
    if typed_id := _ID_PATTERN.match(schema.get("pattern", "")):
        return f"{typed_id[1]}_{_ID_SUFFIX}"
    if schema.get("format") in _EXAMPLES_OF_FORMATS:
        return _EXAMPLES_OF_FORMATS[schema["format"]]
    return _EXAMPLES_OF_TYPES.get(schema.get("type", "object"))


if __name__ == "__main__":
    FILE.write_text(render(build(endpoints())))
    subscribers.FILE.write_text(subscribers.build())
