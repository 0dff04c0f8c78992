"""The endpoints of billing through their real handlers, gate and all."""

import json
import re
from typing import Any

import pytest

from functions.billing import (
    create_setup_intent,
    delete_payment_method,
    get_invoice,
    get_payment_method,
    get_subscription,
    get_usage,
    list_invoices,
    list_ledger_entries,
    list_payment_methods,
    list_plans,
    list_subscriptions,
    pay_invoice,
    update_payment_method,
)
from kernel import authentication
from kernel.ids import new_id
from kernel.permissions import ROLES
from kernel.tables import KeyRecord
from tests.callers import Answer, bearer, call
from tests.unit.billing.scenery import Company, World

pytestmark = pytest.mark.usefixtures("digests")

READS = [list_subscriptions, list_payment_methods, list_invoices, list_ledger_entries]
BY_ID = [
    (get_subscription, "sub"),
    (get_invoice, "inv"),
    (get_payment_method, "card"),
    (update_payment_method, "card"),
    (delete_payment_method, "card"),
    (pay_invoice, "inv"),
]
WRITES = [create_setup_intent, update_payment_method, delete_payment_method, pay_invoice]


@pytest.fixture
def owing(world: World, keys: None) -> Company:
    """A company with a card and an open invoice."""
    company = world.company()
    company.give_card()
    company.finalise()
    return company


def path_of(module: Any, resource_id: str) -> str:
    return re.sub(r"\{\w+\}", resource_id, module.handler.path)


def body_of(module: Any) -> Any:
    return {pay_invoice: {}, update_payment_method: {"is_default": True}}.get(module)


def own_id(company: Company, prefix: str) -> str:
    return str(
        {
            "sub": company.subscription.sk,
            "inv": company.invoice.sk,
            "card": company.cards[0].sk,
        }[prefix]
    )


def request(module: Any, company: Company, resource_id: str = "", **options: Any) -> Answer:
    options.setdefault("headers", bearer(company.tenant_id))
    options.setdefault("body", body_of(module))
    return call(module.handler, path_of(module, resource_id), **options)


def test_plans_are_public(world: World) -> None:
    answer = call(list_plans.handler)

    assert answer.status == 200
    assert [plan["id"] for plan in answer.body["data"]] == [
        "api_free", "api_starter", "api_pro", "inbox_starter", "inbox_growth", "inbox_enterprise",
    ]  # fmt: skip
    starter = answer.body["data"][1]
    assert starter["monthly_price"] == {"amount": 1_000, "currency": "USD"}
    assert starter["trial"]["entitlements"]["calls_per_month"] == 10_000


def test_an_invoice_shows_its_lines(owing: Company) -> None:
    answer = request(get_invoice, owing, owing.invoice.sk)

    assert answer.body["total"] == {"amount": 97_00, "currency": "USD"}
    assert answer.body["lines"] == [
        {
            "description": "Inbox Starter, 27 November 2026 – 27 December 2026",
            "amount": {"amount": 97_00, "currency": "USD"},
        }
    ]
    assert "stripe" not in answer.text


def test_paying_answers_with_the_paid_invoice(world: World, owing: Company) -> None:
    answer = request(pay_invoice, owing, owing.invoice.sk)

    assert (answer.status, answer.body["status"]) == (200, "paid")
    assert answer.body["card"] == "visa ending 4242"
    assert len(world.charges()) == 1


def test_a_decline_is_a_problem_with_its_code(world: World, owing: Company) -> None:
    world.fault("decline", code="insufficient_funds")
    answer = request(pay_invoice, owing, owing.invoice.sk)

    assert (answer.status, answer.body["code"]) == (402, "billing.payment_declined")
    assert answer.body["errors"] == [
        {
            "field": "body.payment_method_id",
            "code": "insufficient_funds",
            "message": "Your card has insufficient funds.",
        }
    ]
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_stripe_s_absence_is_503_with_retry_after(world: World, owing: Company) -> None:
    world.fault("status", status=503, times="always")
    answer = request(pay_invoice, owing, owing.invoice.sk)

    assert (answer.status, answer.body["code"]) == (503, "billing.provider_unavailable")
    assert answer.headers["Retry-After"] == "30"


def test_stripe_s_refusal_of_our_keys_tells_nothing(
    world: World, owing: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    from billing import stripe_client

    monkeypatch.setattr(stripe_client, "_is_of_other_mode", lambda *_: True)
    stripe_client._credentials.cache_clear()
    answer = request(create_setup_intent, owing)

    assert (answer.status, answer.body["code"]) == (500, "internal")
    assert "Stripe" not in answer.text


def test_a_repeated_payment_is_answered_with_the_first(world: World, owing: Company) -> None:
    headers = bearer(owing.tenant_id) | {"Idempotency-Key": "pay-1"}
    first = request(pay_invoice, owing, owing.invoice.sk, headers=headers)
    second = request(pay_invoice, owing, owing.invoice.sk, headers=headers)

    assert (first.status, second.status) == (200, 200)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.body == second.body
    assert len(world.charges()) == 1


def test_a_repeated_decline_is_declined_again_without_asking(world: World, owing: Company) -> None:
    world.fault("decline", code="lost_card")
    headers = bearer(owing.tenant_id) | {"Idempotency-Key": "pay-1"}
    answers = [request(pay_invoice, owing, owing.invoice.sk, headers=headers) for _ in range(2)]

    assert [answer.status for answer in answers] == [402, 402]
    assert answers[1].body["errors"][0]["code"] == "lost_card"
    assert len(world.requests()) == 1


def test_a_key_for_another_request_is_refused(world: World, owing: Company) -> None:
    headers = bearer(owing.tenant_id) | {"Idempotency-Key": "pay-1"}
    request(pay_invoice, owing, owing.invoice.sk, headers=headers)
    body = {"payment_method_id": owing.cards[0].sk}
    answer = request(pay_invoice, owing, owing.invoice.sk, headers=headers, body=body)

    assert (answer.status, answer.body["code"]) == (422, "request.idempotency_key_reused")


def test_a_repeated_setup_shows_no_secret(owing: Company) -> None:
    headers = bearer(owing.tenant_id) | {"Idempotency-Key": "card-1"}
    first = request(create_setup_intent, owing, headers=headers)
    second = request(create_setup_intent, owing, headers=headers)

    assert (first.status, second.status) == (201, 201)
    assert first.body["client_secret"].startswith("seti_")
    assert second.body == first.body | {"client_secret": None}


def test_removing_a_card_answers_with_nothing(owing: Company) -> None:
    card_id = owing.cards[0].sk
    answer = request(delete_payment_method, owing, card_id)

    assert (answer.status, answer.text) == (204, "")
    assert request(get_payment_method, owing, card_id).status == 404


@pytest.mark.parametrize(("module", "prefix"), BY_ID)
def test_another_tenant_s_resource_is_not_found(
    world: World, owing: Company, module: Any, prefix: str
) -> None:
    other = world.company()
    other.give_card()
    other.finalise()
    foreign = request(module, owing, own_id(other, prefix))
    own = request(module, owing, own_id(owing, prefix))

    assert (foreign.status, own.status // 100) == (404, 2)
    assert foreign.body["code"].startswith("billing.")
    assert other.invoice.status == "open"
    assert len(other.cards) == 1


@pytest.mark.parametrize(("module", "prefix"), BY_ID)
@pytest.mark.parametrize("wrong", ["1", "x_01jd3v8m5ke5c8qv0m5w6r3x2y"])
def test_what_is_no_id_is_refused(owing: Company, module: Any, prefix: str, wrong: str) -> None:
    assert request(module, owing, wrong).status == 422


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1},
        {"payment_method_id": 5},
        {"payment_method_id": "pm_1"},
        {"payment_method_id": None, "currency": "EUR"},
        [],
        "x",
    ],
)
def test_the_client_cannot_say_what_is_paid(world: World, owing: Company, body: Any) -> None:
    answer = request(pay_invoice, owing, owing.invoice.sk, body=body)

    assert answer.status == 422
    assert world.charges() == []


@pytest.mark.parametrize("body", [{}, {"is_default": False}, {"is_default": "yes", "x": 1}])
def test_a_card_can_only_be_made_the_default(owing: Company, body: Any) -> None:
    answer = request(update_payment_method, owing, owing.cards[0].sk, body=body)

    assert answer.status == 422


@pytest.mark.parametrize("module", READS)
def test_lists_are_paged(owing: Company, module: Any) -> None:
    answer = request(module, owing, query={"limit": "1"})
    beyond = request(module, owing, query={"limit": "101"})
    foreign = request(module, owing, query={"cursor": "UFJPRFVDVCM"})

    assert len(answer.body["data"]) == 1
    assert (beyond.status, foreign.status) == (422, 400)
    while cursor := answer.body["next_cursor"]:
        answer = request(module, owing, query={"limit": "1", "cursor": cursor})
        assert len(answer.body["data"]) <= 1


@pytest.mark.parametrize("role", sorted(ROLES))
def test_roles_read_and_write_as_they_may(owing: Company, role: str) -> None:
    headers = bearer(owing.tenant_id, role=role)
    reads = [request(module, owing, headers=headers).status for module in READS]
    write = request(create_setup_intent, owing, headers=headers).status
    usage = request(get_usage, owing, headers=headers).status

    assert set(reads) == {200 if "billing:read" in ROLES[role] else 403}
    assert write == (201 if "billing:write" in ROLES[role] else 403)
    assert usage == (200 if any("usage:read" in held for held in ROLES[role]) else 403)


@pytest.mark.parametrize("module", WRITES)
def test_who_only_reads_can_change_nothing(world: World, owing: Company, module: Any) -> None:
    resource = own_id(owing, "inv" if module is pay_invoice else "card")
    answer = request(module, owing, resource, headers=bearer(owing.tenant_id, role="viewer"))

    assert (answer.status, answer.body["code"]) == (403, "auth.permission_denied")
    assert len(owing.cards) == 1
    assert world.charges() == []


def test_an_api_key_reads_but_never_pays(owing: Company) -> None:
    secret = "sk_test_" + "a1" * 32
    KeyRecord.for_secret(
        authentication.hash_secret(secret),
        tenant_id=owing.tenant_id,
        key_id=new_id("key"),
        user_id=new_id("usr"),
        permissions={"billing:read", "usage:read"},
    ).save()
    headers = {"X-API-Key": secret}

    assert request(list_invoices, owing, headers=headers).status == 200
    assert request(get_usage, owing, headers=headers).body["used"] == 2
    assert request(pay_invoice, owing, owing.invoice.sk, headers=headers).status == 403


@pytest.mark.parametrize("module", [*READS, get_usage, create_setup_intent])
def test_suspension_for_payment_leaves_billing_open(owing: Company, module: Any) -> None:
    owing.suspend("payment")

    assert request(module, owing).status in {200, 201}


@pytest.mark.parametrize(("module", "prefix"), BY_ID)
def test_suspension_for_abuse_closes_it(
    world: World, owing: Company, module: Any, prefix: str
) -> None:
    owing.suspend("abuse")
    answer = request(module, owing, own_id(owing, prefix))

    assert (answer.status, answer.body["code"]) == (403, "tenant.suspended_abuse")
    assert world.charges() == []


def test_suspension_for_payment_is_cured_by_paying(owing: Company) -> None:
    owing.suspend("payment")

    assert request(pay_invoice, owing, owing.invoice.sk).body["status"] == "paid"


class TestOpenApi:
    MODULES = (
        list_plans, list_subscriptions, get_subscription, create_setup_intent,
        list_payment_methods, get_payment_method, update_payment_method, delete_payment_method,
        list_invoices, get_invoice, pay_invoice, get_usage, list_ledger_entries,
    )  # fmt: skip

    @pytest.fixture(params=MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
    def schema(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        resolver = request.param.handler.resolver
        document = resolver.get_openapi_schema()
        loaded: dict[str, Any] = json.loads(
            document.model_dump_json(by_alias=True, exclude_none=True)
        )
        return loaded

    def test_each_operation_has_a_summary(self, schema: dict[str, Any]) -> None:
        for methods in schema["paths"].values():
            for operation in methods.values():
                assert operation["summary"][0].isalpha()
                assert operation["operationId"]

    def test_each_field_is_explained_by_type_description_or_example(
        self, schema: dict[str, Any]
    ) -> None:
        told = {"examples", "description", "enum", "const", "$ref", "anyOf", "items", "format"}
        for name, model in schema.get("components", {}).get("schemas", {}).items():
            if name.startswith(("HTTP", "Validation", "Response", "Page_")):
                continue
            for field, described in model.get("properties", {}).items():
                assert told & set(described) or described["type"] in {"boolean", "integer"}, (
                    f"{name}.{field}"
                )
