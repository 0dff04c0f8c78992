"""The published description of the API against the endpoints and their models."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from pydantic import BaseModel

from infra import openapi, subscribers
from infra.cdk import tree
from infra.openapi import CollisionError
from kernel.http import Caller, endpoint


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openapi.FILE.read_text())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_is_what_the_endpoints_say() -> None:
    expected = openapi.render(openapi.build(openapi.endpoints()))

    assert openapi.FILE.read_text() == expected, "run: make openapi"


def test_the_publisher_knows_the_subscribers() -> None:
    assert subscribers.FILE.read_text() == subscribers.build(), "run: make openapi"


def test_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_has_every_published_endpoint_once(document: dict[str, Any]) -> None:
    routes = [str(endpoint.route) for _, endpoint in openapi.endpoints()]

    assert sorted(routes) == sorted(name for name, _ in operations(document))
    assert not openapi.UNPUBLISHED & set(document["paths"])


def test_examples_are_what_their_schemas_allow(document: dict[str, Any]) -> None:
    components = {"components": document["components"]}
    wrong = []
    for name, operation in operations(document):
        for body in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for content in body.get("content", {}).values():
                validator = OAS31Validator(components | content["schema"])
                values = [content["example"]] if "example" in content else []
                values += [
                    document["components"]["examples"][code]["value"]
                    for code in content.get("examples", {})
                ]
                assert values, f"{name} has a body without example"
                wrong += [
                    f"{name}: {'.'.join(map(str, error.path))}: {error.message}"
                    for value in values
                    for error in validator.iter_errors(value)
                ]
    assert wrong == []


def test_every_operation_says_who_may_call_and_what_can_go_wrong(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document):
        assert "security" in operation, name
        if operation["security"]:
            assert {"401", "429", "503"} <= set(operation["responses"]), name
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), name
        assert operation["summary"][0].isupper(), name
        assert operation["tags"], name


def test_successes_have_the_status_that_is_sent(document: dict[str, Any]) -> None:
    for _, published in openapi.endpoints():
        path = published.path
        [success] = [
            status
            for status in document["paths"][path][published.method.lower()]["responses"]
            if status.startswith("2")
        ]
        assert success == str(published.route.status)


def test_nothing_stands_in_it_that_nothing_refers_to(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    unused = [
        name
        for kind in ("schemas", "examples")
        for name in document["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


def test_two_models_of_one_name_are_refused() -> None:
    def make(field: str) -> Any:
        model = type("Thing", (BaseModel,), {"__annotations__": {field: str}})

        def handler(caller: Caller, body: Any) -> None: ...

        handler.__annotations__["body"] = model
        handler.__name__ = f"create_{field}"
        handler.__module__ = f"functions.tests.create_{field}"
        return endpoint("POST", f"/v1/{field}s", permission="x:write")(handler)

    with pytest.raises(CollisionError, match="Thing"):
        openapi.build([("one", make("lamp")), ("two", make("bulb"))])


def test_two_functions_of_one_name_are_refused() -> None:
    [first, *_] = openapi.endpoints()
    with pytest.raises(CollisionError):
        openapi.build([first, first])


def test_every_trigger_is_a_known_kind() -> None:
    kinds = {
        tree.handler(context, file).kind
        for context in tree.contexts()
        for file in tree.function_files(context)
    }
    assert kinds <= {
        "endpoint",
        "webhook",
        "step",
        "subscriber",
        "consumer",
        "stream",
        "schedule",
    }
