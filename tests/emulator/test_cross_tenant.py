"""No route shows or touches another tenant's resources.

Routes are generated, so a new route is tested without a line here: it needs
one only when it has an id parameter of a new kind. Every id parameter is filled with an existing
resource of another tenant; the positive control is the same request by its owner.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from infra.cdk import tree
from kernel.principals import Caller
from local.system import System
from tests.emulator.companies import Company

pytestmark = pytest.mark.xdist_group("emulator")

PARAMETER = re.compile(r"\{(\w+)\}")

BODIES: dict[str, Any] = {
    "PATCH /v1/payment-methods/{payment_method_id}": {"is_default": True},
    "POST /v1/api-keys/{key_id}/rotate": {"grace_seconds": 60},
    "POST /v1/invoices/{invoice_id}/pay": {},
}
"""Bodies of routes with an id that need one."""

SETTLED = {"POST /v1/invoices/{invoice_id}/pay"}
"""Routes whose owner is told that the resource is there, and that nothing is left to do."""


@dataclass
class Tenants:
    """Two tenants, and what the victim owns, by the name of the path parameter."""

    attacker: Company
    victim: Company
    owned: dict[str, str]


def _routes_of_tenants() -> list[str]:
    """Return the routes that a user or a key calls, as `GET /v1/me`, from the tree of functions.

    That tree and templates hold the same set is proven in tests/infra.
    """
    handlers = [
        tree.handler(context, file)
        for context in tree.contexts()
        for file in tree.function_files(context)
    ]
    return sorted(
        f"{handler.method} {handler.path}"
        for handler in handlers
        if handler.kind == "endpoint" and handler.principal is Caller
    )


ROUTES = _routes_of_tenants()
WITH_IDS = [route for route in ROUTES if "{" in route]
DELETIONS_LAST = sorted(WITH_IDS, key=lambda route: route.startswith("DELETE"))
LISTS = [route for route in ROUTES if route.startswith("GET") and "{" not in route]


@pytest.fixture(scope="module")
def tenants(deployed: System) -> Tenants:
    attacker, victim = Company(deployed), Company(deployed)
    for company in (attacker, victim):
        company.register()
    card = victim.save_card()
    key = victim.call("POST", "/v1/api-keys", {"name": "Mine", "permissions": ["tenant:read"]})
    victim.call("POST", "/v1/test-clock", {})
    subscription = victim.listed("/v1/subscriptions")[0]
    victim.advance_to(subscription["trial_ends_at"])
    victim.log_in()
    spare = Company(deployed, email=victim.email, password=victim.password)
    spare.log_in()
    sessions = victim.listed("/v1/sessions")
    other_session = next(session for session in sessions if not session["current"])
    owned = {
        "key_id": key.json()["id"],
        "session_id": other_session["id"],
        "subscription_id": subscription["id"],
        "payment_method_id": card["id"],
        "invoice_id": victim.listed("/v1/invoices")[0]["id"],
    }
    return Tenants(attacker, victim, owned)


def test_every_id_parameter_is_known(tenants: Tenants) -> None:
    wanted = {name for route in ROUTES for name in PARAMETER.findall(route)}
    assert wanted <= set(tenants.owned), "name how a test obtains these resources"


@pytest.mark.parametrize("route", WITH_IDS)
def test_foreign_ids_are_not_found(tenants: Tenants, route: str) -> None:
    method, path = route.split(" ")
    path = PARAMETER.sub(lambda match: tenants.owned[match[1]], path)
    refused = tenants.attacker.call(method, path, BODIES.get(route))
    assert refused.status_code == 404, refused.text
    assert refused.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", DELETIONS_LAST)
def test_the_owner_reaches_the_same_resource(tenants: Tenants, route: str) -> None:
    method, path = route.split(" ")
    path = PARAMETER.sub(lambda match: tenants.owned[match[1]], path)
    control = tenants.victim.call(method, path, BODIES.get(route))
    allowed = {200, 201, 204} | ({409} if route in SETTLED else set())
    assert control.status_code in allowed, control.text


@pytest.mark.parametrize("route", LISTS)
def test_lists_show_nothing_of_another_tenant(tenants: Tenants, route: str) -> None:
    answer = tenants.attacker.call("GET", route.partition(" ")[2])
    assert answer.status_code in (200, 404), answer.text
    for what in (tenants.victim.tenant_id, tenants.victim.email, *tenants.owned.values()):
        assert what not in answer.text


@pytest.mark.parametrize("route", ROUTES)
def test_without_credentials_there_is_only_401(tenants: Tenants, route: str) -> None:
    method, path = route.split(" ")
    path = PARAMETER.sub(lambda match: tenants.owned[match[1]], path)
    answer = tenants.attacker.call(method, path, {"nonsense": True}, headers={})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.unauthenticated")
