"""Customers: https://docs.stripe.com/api/customers."""

import pytest
import stripe


def test_create_retrieve_update(api, post):
    created = api.v1.customers.create(
        params={
            "email": "ada@example.com",
            "name": "Ada",
            "address": {"city": "London"},
            "metadata": {"tenant_id": "tnt_1", "plan": "pro"},
        }
    )
    assert created.livemode is False
    assert created.address.city == "London"
    assert created.address.line1 is None
    updated = api.v1.customers.update(
        created.id, params={"name": "Ada L.", "metadata": {"plan": "", "seats": "3"}}
    )
    assert updated.metadata.to_dict() == {"tenant_id": "tnt_1", "seats": "3"}
    assert api.v1.customers.retrieve(created.id).name == "Ada L."
    types = [event.type for event in api.v1.events.list().data]
    assert types == ["customer.updated", "customer.created"]


def test_an_update_tells_what_was_before(api):
    created = api.v1.customers.create(params={"name": "Ada", "email": "a@example.com"})
    api.v1.customers.update(created.id, params={"name": "Ada L.", "email": "a@example.com"})
    event = api.v1.events.list(params={"type": "customer.updated"}).data[0]
    assert event.data.previous_attributes.to_dict() == {"name": "Ada"}


def test_an_update_that_changes_nothing_is_not_announced(api):
    created = api.v1.customers.create(params={"name": "Ada"})
    api.v1.customers.update(created.id, params={"name": "Ada"})
    assert len(api.v1.events.list().data) == 1


def test_all_metadata_is_unset_by_an_empty_string(api, customer):
    assert api.v1.customers.update(customer.id, params={"metadata": ""}).metadata.to_dict() == {}


@pytest.mark.parametrize(
    "metadata",
    [{"k" * 41: "v"}, {"k": "v" * 501}, {str(number): "v" for number in range(51)}],
)
def test_limits_of_metadata(api, metadata):
    with pytest.raises(stripe.InvalidRequestError, match=r"[Mm]etadata"):
        api.v1.customers.create(params={"metadata": metadata})


def test_a_wrong_address_is_refused(api):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        api.v1.customers.create(params={"email": "nobody"})
    assert refusal.value.code == "email_invalid"


def test_list_by_email(api, customer):
    ada = api.v1.customers.create(params={"email": "ada@example.com"})
    listed = api.v1.customers.list(params={"email": "ada@example.com"})
    assert [each.id for each in listed.data] == [ada.id]


class TestDelete:
    def test_a_deleted_customer_is_told_of_and_nothing_else(self, api, customer):
        assert api.v1.customers.delete(customer.id).deleted
        assert api.v1.customers.retrieve(customer.id).deleted
        assert api.v1.customers.list().data == []
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.customers.update(customer.id, params={"name": "Ada"})
        assert refusal.value.http_status == 404
        with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
            api.v1.payment_intents.create(
                params={"amount": 100, "currency": "usd", "customer": customer.id}
            )

    def test_its_cards_are_detached(self, api, customer, save_card):
        method = save_card()
        api.v1.customers.delete(customer.id)
        assert api.v1.payment_methods.retrieve(method.id).customer is None
        types = {event.type for event in api.v1.events.list().data}
        assert {"payment_method.detached", "customer.deleted"} <= types


class TestDefaultPaymentMethod:
    def test_is_one_of_the_customers_own(self, api, customer, save_card):
        method = save_card()
        params = {"invoice_settings": {"default_payment_method": method.id}}
        updated = api.v1.customers.update(customer.id, params=params)
        assert updated.invoice_settings.default_payment_method == method.id
        expanded = api.v1.customers.retrieve(
            customer.id, params={"expand": ["invoice_settings.default_payment_method"]}
        )
        assert expanded.invoice_settings.default_payment_method.card.last4 == "4242"
        other = api.v1.customers.create()
        with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
            api.v1.customers.update(other.id, params=params)

    def test_goes_when_it_is_detached(self, api, customer, save_card):
        method = save_card()
        api.v1.customers.update(
            customer.id, params={"invoice_settings": {"default_payment_method": method.id}}
        )
        api.v1.payment_methods.detach(method.id)
        assert (
            api.v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
        )

    def test_comes_with_the_customer(self, api):
        created = api.v1.customers.create(params={"payment_method": "pm_card_visa"})
        assert len(api.v1.customers.payment_methods.list(created.id).data) == 1
