import pytest

from billing import setup_intents
from billing.errors import AccountNotReadyError, StripeUnavailableError
from kernel.errors import NotFoundError
from tests.callers import make_tenant
from tests.unit.billing.scenery import PUBLISHABLE_KEY, Calls, Company, World


def test_a_frontend_gets_what_stripe_js_needs(world: World, company: Company) -> None:
    intent = setup_intents.create(company.caller())
    (request,) = world.requests(path="/v1/setup_intents")

    assert str(intent.client_secret).startswith("seti_")
    assert intent.publishable_key == PUBLISHABLE_KEY
    assert request["customer"] == company.account.stripe_customer_id


def test_a_repetition_makes_no_second_one_and_shows_no_secret(
    world: World, company: Company
) -> None:
    first = setup_intents.create(company.caller("key-1"))
    shown = setup_intents.replay(company.caller("key-1"), first.id)

    assert (shown.id, shown.client_secret) == (first.id, None)
    assert shown.publishable_key == PUBLISHABLE_KEY


def test_a_lost_answer_of_stripe_s_is_had_by_repeating(world: World, company: Company) -> None:
    world.fault("drop", method="POST", path="/v1/setup_intents", times=2)
    with pytest.raises(StripeUnavailableError):
        setup_intents.create(company.caller("key-1"))
    setup_intents.create(company.caller("key-1"))
    keys = {request["idempotency_key"] for request in world.requests(path="/v1/setup_intents")}

    assert len(keys) == 1
    assert "key-1" not in keys.pop()


def test_before_the_account_exists_one_is_asked_to_wait(world: World) -> None:
    company = Company(world, make_tenant())
    with pytest.raises(AccountNotReadyError) as caught:
        setup_intents.create(company.caller())

    assert caught.value.headers["Retry-After"]


def test_another_tenant_s_is_not_found(world: World, company: Company) -> None:
    intent = setup_intents.create(company.caller())
    with pytest.raises(NotFoundError):
        setup_intents.replay(world.company().caller(), intent.id)


def test_calls(company: Company, calls: Calls) -> None:
    calls.take()
    intent = setup_intents.create(company.caller("key-1"))
    assert calls.take() == ["GetItem", "GetItem", "TransactWriteItems"]  # one: the test clock
    setup_intents.replay(company.caller(), intent.id)
    assert calls.take() == ["GetItem"]
