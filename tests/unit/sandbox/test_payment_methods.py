"""PaymentMethods: https://docs.stripe.com/api/payment_methods, docs.stripe.com/testing."""

import pytest
import stripe


def create(api, **card):
    return api.v1.payment_methods.create(params={"type": "card", "card": card})


def test_from_a_token(api):
    method = api.v1.payment_methods.create(
        params={
            "type": "card",
            "card": {"token": "tok_mastercard"},
            "billing_details": {"name": "Ada", "address": {"country": "GB"}},
            "metadata": {"a": "b"},
        }
    )
    assert (method.card.brand, method.card.last4) == ("mastercard", "4444")
    assert (method.billing_details.name, method.billing_details.address.country) == ("Ada", "GB")
    assert method.customer is None


def test_raw_numbers_are_refused(api):
    with pytest.raises(stripe.CardError, match="generally unsafe") as refusal:
        create(api, number="4242424242424242", exp_month=12, exp_year=2034, cvc="123")
    assert refusal.value.http_status == 402
    assert refusal.value.error.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "type"),
        ({"type": "card"}, "card"),
        ({"type": "card", "card": {"exp_month": 1}}, "card[token]"),
        ({"type": "card", "card": {"token": "tok_unheard_of"}}, "card[token]"),
        ({"type": "sepa_debit", "sepa_debit": {"iban": "DE"}}, "sepa_debit"),
    ],
)
def test_refusals(api, params, param):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        api.v1.payment_methods.create(params=params)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("name", "brand", "last4"),
    [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_amex", "amex", "0005"),
        ("pm_card_chargeCustomerFail", "visa", "0341"),
    ],
)
def test_test_methods_become_new_ones(api, customer, save_card, name, brand, last4):
    method = save_card(name)
    assert method.id.startswith("pm_")
    assert method.id != name
    assert (method.card.brand, method.card.last4) == (brand, last4)
    assert method.customer == customer.id
    assert save_card(name).id != method.id


@pytest.mark.parametrize(
    ("name", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_the_issuer_is_asked_when_a_card_is_attached(
    api, customer, save_card, name, code, decline_code
):
    with pytest.raises(stripe.CardError) as declined:
        save_card(name)
    assert (declined.value.code, declined.value.error.decline_code) == (code, decline_code)
    assert api.v1.payment_methods.list(params={"customer": customer.id}).data == []


class TestAttachAndDetach:
    def test_only_once(self, api, customer, save_card):
        method = save_card()
        with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
            save_card(method.id)

    def test_needs_a_customer(self, api):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.payment_methods.attach("pm_card_visa")
        assert (refusal.value.code, refusal.value.param) == ("parameter_missing", "customer")

    def test_what_is_detached_is_of_no_use_again(self, api, customer, save_card, pay):
        method = save_card()
        assert api.v1.payment_methods.detach(method.id).customer is None
        for again in (lambda: save_card(method.id), lambda: pay(method.id)):
            with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
                again()
        with pytest.raises(stripe.InvalidRequestError, match="detachment is impossible"):
            api.v1.payment_methods.detach(method.id)

    def test_events(self, api, save_card):
        method = save_card()
        api.v1.payment_methods.detach(method.id)
        events = api.v1.events.list(params={"type": "payment_method.*"}).data
        assert [event.type for event in events] == [
            "payment_method.detached",
            "payment_method.attached",
        ]


class TestLists:
    def test_of_a_customer(self, api, customer, save_card):
        ids = [save_card().id, save_card("pm_card_mastercard").id]
        create(api, token="tok_visa")
        for listed in (
            api.v1.payment_methods.list(params={"customer": customer.id, "type": "card"}),
            api.v1.customers.payment_methods.list(customer.id),
        ):
            assert [each.id for each in listed.data] == ids[::-1]

    def test_one_of_a_customer(self, api, customer, save_card):
        method = save_card()
        other = api.v1.customers.create()
        assert api.v1.customers.payment_methods.retrieve(customer.id, method.id).id == method.id
        with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
            api.v1.customers.payment_methods.retrieve(other.id, method.id)

    def test_of_another_type(self, api, customer, save_card):
        save_card()
        params = {"customer": customer.id, "type": "sepa_debit"}
        assert api.v1.payment_methods.list(params=params).data == []


class TestUpdate:
    def test_of_a_saved_card(self, api, save_card):
        updated = api.v1.payment_methods.update(
            save_card().id,
            params={
                "card": {"exp_month": 1, "exp_year": 2040},
                "billing_details": {"name": "Ada"},
                "metadata": {"a": "b"},
            },
        )
        assert (updated.card.exp_year, updated.card.last4) == (2040, "4242")
        assert updated.billing_details.name == "Ada"
        event = api.v1.events.list(params={"type": "payment_method.updated"}).data[0]
        assert event.data.previous_attributes["card"]["exp_year"] == 2034

    def test_of_an_unsaved_card(self, api):
        method = create(api, token="tok_visa")
        with pytest.raises(stripe.InvalidRequestError, match="must save this PaymentMethod"):
            api.v1.payment_methods.update(method.id, params={"metadata": {"a": "b"}})
