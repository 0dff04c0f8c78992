import pytest

from billing import payment_methods, stripe_gateway, tables
from billing.errors import PaymentMethodNotFoundError, StripeUnavailableError
from billing.tables import LookupRecord
from contracts.billing import PaymentMethodRemoved, PaymentMethodSaved
from tests.unit.billing.scenery import Calls, Company, World


def test_a_card_is_saved_when_its_setup_succeeds(world: World, company: Company) -> None:
    card = company.save_card()
    (event,) = world.events(PaymentMethodSaved)

    assert (card.brand, card.last4, card.sk[:5]) == ("visa", "4242", "card_")
    assert (event.payment_method_id, event.card) == (card.sk, "visa ending 4242")


def test_the_first_card_becomes_the_default(company: Company) -> None:
    first, second = company.save_card(), company.save_card("pm_card_mastercard")

    assert first.sk != second.sk
    assert company.account.default_payment_method_id == first.sk


def test_cards_are_listed_with_the_default_marked(world: World, company: Company) -> None:
    first, second = company.give_card(), company.give_card("pm_card_amex")
    world.company().give_card()
    page = payment_methods.page(company.caller(), limit=10, cursor=None)

    assert {card.id: card.is_default for card in page.data} == {first.sk: True, second.sk: False}
    assert payment_methods.get(company.caller(), first.sk).is_default


def test_another_card_can_be_made_the_default(world: World, company: Company) -> None:
    company.give_card()
    second = company.give_card("pm_card_amex")

    assert payment_methods.make_default(company.caller(), second.sk).is_default
    assert company.account.default_payment_method_id == second.sk
    assert world.audit("billing.default_payment_method_changed")


def test_a_card_of_another_tenant_cannot_be_had(world: World, company: Company) -> None:
    foreign = world.company().give_card()
    for operation in (payment_methods.get, payment_methods.make_default, payment_methods.remove):
        with pytest.raises(PaymentMethodNotFoundError):
            operation(company.caller(), foreign.sk)
    assert company.account.default_payment_method_id is None


def test_a_removed_card_is_gone_here_and_at_stripe(world: World, company: Company) -> None:
    card = company.give_card()
    payment_methods.remove(company.caller(), card.sk)
    at_stripe = stripe_gateway.retrieve_card("test", card.stripe_payment_method_id)

    assert company.cards == []
    assert company.account.default_payment_method_id is None
    assert at_stripe is not None
    assert at_stripe.customer_id is None
    assert world.events(PaymentMethodRemoved)[0].payment_method_id == card.sk
    with pytest.raises(PaymentMethodNotFoundError):
        payment_methods.remove(company.caller(), card.sk)


def test_the_newest_other_card_takes_the_default_s_place(company: Company) -> None:
    cards = [company.give_card(name) for name in ("pm_card_visa", "pm_card_amex")]
    default = company.account.default_payment_method_id
    (other,) = {card.sk for card in cards} - {default}
    payment_methods.remove(company.caller(), str(default))

    assert company.account.default_payment_method_id == other


def test_removing_another_card_keeps_the_default(company: Company) -> None:
    first, second = company.give_card(), company.give_card("pm_card_amex")
    payment_methods.remove(company.caller(), second.sk)

    assert company.account.default_payment_method_id == first.sk


def test_a_card_that_stripe_could_not_forget_stays(world: World, company: Company) -> None:
    card = company.give_card()
    world.fault("status", status=503, times=2)
    with pytest.raises(StripeUnavailableError):
        payment_methods.remove(company.caller(), card.sk)

    assert [kept.sk for kept in company.cards] == [card.sk]
    payment_methods.remove(company.caller(), card.sk)
    assert company.cards == []


def test_a_removal_that_was_cut_off_is_made_good(company: Company) -> None:
    card = company.give_card()
    stripe_gateway.detach("test", card.stripe_payment_method_id)
    payment_methods.remove(company.caller(), card.sk)

    assert company.cards == []


def test_a_removed_card_does_not_come_back(world: World, company: Company) -> None:
    company.begin_card()
    late = list(world.post.tasks)
    world.deliver()
    (card,) = company.cards
    payment_methods.remove(company.caller(), card.sk)
    world.post.tasks.extend(late)
    world.deliver()

    assert company.cards == []
    lookup = LookupRecord.find(card.stripe_payment_method_id)
    assert lookup is not None
    assert lookup.removed_at is not None


def test_two_cards_saved_at_once_make_one_default(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_account = tables.find_account
    meanwhile = []

    def overtaken(tenant_id: str) -> object:
        monkeypatch.setattr(tables, "find_account", find_account)
        account = find_account(tenant_id)
        meanwhile.append(company.give_card("pm_card_amex"))
        return account

    company.begin_card()
    monkeypatch.setattr(tables, "find_account", overtaken)
    company.world.deliver()

    assert len(company.cards) == 2
    assert company.account.default_payment_method_id == meanwhile[0].sk


def test_calls(company: Company, calls: Calls) -> None:
    card, caller = company.give_card(), company.caller()
    calls.take()
    payment_methods.page(caller, limit=10, cursor=None)
    assert calls.take() == ["Query", "GetItem"]
    payment_methods.get(caller, card.sk)
    assert calls.take() == ["BatchGetItem"]
    payment_methods.make_default(caller, card.sk)
    assert calls.take() == ["TransactWriteItems", "BatchGetItem"]
    payment_methods.remove(caller, card.sk)
    reads = ["GetItem", "Query", "GetItem", "GetItem"]  # one of them: the test clock
    assert calls.take() == [*reads, "TransactWriteItems"]
