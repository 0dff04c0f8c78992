"""Pages behind mailed links, signing keys, and the OpenAPI document of each endpoint."""

import importlib
import re
from pathlib import Path
from typing import Any

import jwt
import pytest
from jwt import PyJWK

from tests.callers import call
from tests.unit.identity.scenery import items, register, sign_up

pytestmark = pytest.mark.usefixtures("world")

ROOT = Path(__file__).resolve().parents[3]
HANDLERS: dict[str, Any] = {
    path.stem: importlib.import_module(f"functions.identity.{path.stem}").handler
    for path in sorted((ROOT / "functions" / "identity").glob("*.py"))
}
ENDPOINTS = {name: handler for name, handler in HANDLERS.items() if handler.kind == "endpoint"}
PAGES = {
    "show_verification_page": "v1/auth/verify-email",
    "show_reset_page": "v1/auth/reset-password",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_may_run_its_own_script_only(name: str) -> None:
    page = call(ENDPOINTS[name])
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    [nonce] = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert re.findall(r'nonce="([^"]+)"', page.text) == [nonce, nonce]
    assert not re.search(r"\son\w+=|javascript:|https?://|style=", page.text)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", PAGES)
def test_each_showing_has_a_nonce_of_its_own(name: str) -> None:
    policies = {call(ENDPOINTS[name]).headers["Content-Security-Policy"] for _ in range(5)}
    assert len(policies) == 5


@pytest.mark.parametrize(("name", "action"), PAGES.items())
def test_a_page_posts_to_the_endpoint_beside_it(name: str, action: str) -> None:
    assert f'data-action="{action}"' in call(ENDPOINTS[name]).text
    paths = {endpoint.path for endpoint in ENDPOINTS.values() if endpoint.method == "POST"}
    assert f"/{action}" in paths


@pytest.mark.parametrize("name", PAGES)
def test_showing_a_page_reads_and_writes_nothing(name: str) -> None:
    secret = register()
    before = [items(table) for table in ("identity", "gate", "journal")]
    page = call(ENDPOINTS[name], query={"token": secret})
    assert [items(table) for table in ("identity", "gate", "journal")] == before
    assert secret not in page.text


def test_published_keys_verify_our_tokens_and_can_be_kept() -> None:
    token = sign_up().session.access_token
    answer = call(ENDPOINTS["get_jwks"])
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Content-Type"] == "application/json"
    keys = {key["kid"]: key for key in answer.body["keys"]}
    assert len(keys) == 2
    assert all("d" not in key for key in keys.values())
    key = PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
    assert jwt.decode(token, key, audience="mailroom:tenant")["sub"].startswith("usr_")


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_an_endpoint_describes_itself(name: str) -> None:
    endpoint = ENDPOINTS[name]
    assert endpoint.summary
    assert not endpoint.summary.endswith("..")
    document = endpoint.resolver.get_openapi_schema().model_dump(by_alias=True, exclude_none=True)
    [operations] = document["paths"].values()
    [operation] = operations.values()
    assert operation["operationId"].endswith(name) or name in operation["operationId"]


def test_routes_are_named_once() -> None:
    routes = [str(endpoint.route) for endpoint in ENDPOINTS.values()]
    assert len(set(routes)) == len(routes) == 35


def test_models_have_names_of_their_own() -> None:
    """Documents are merged by model name, so one name must mean one model."""
    from identity import models

    named: dict[str, str] = {}
    for path in sorted(Path(models.__file__).parent.glob("*.py")):
        for name in re.findall(r"^class (\w+)\(", path.read_text(), re.MULTILINE):
            assert named.setdefault(name, path.stem) == path.stem, name


def test_every_field_that_is_sent_has_an_example_or_an_enumeration() -> None:
    for name, endpoint in ENDPOINTS.items():
        if "body" not in endpoint.function.__annotations__:
            continue
        body = endpoint.function.__annotations__["body"]
        for field, schema in body.model_json_schema()["properties"].items():
            described = {"examples", "enum", "$ref", "default", "anyOf"} & set(schema)
            assert described, f"{name}: {field}"
