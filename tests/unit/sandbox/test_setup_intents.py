"""SetupIntents: saving a card, by the server and by the browser."""

import pytest
import stripe

CARD_ONLY = {"allowed_payment_method_types": ["card"]}


@pytest.fixture
def intent(api, customer):
    return api.v1.setup_intents.create(
        params={"customer": customer.id, "metadata": {"tenant_id": "tnt_1"}, **CARD_ONLY}
    )


def types(api):
    return [event.type for event in api.v1.events.list(params={"type": "setup_intent.*"}).data]


def test_create(api, intent, customer):
    assert intent.status == "requires_payment_method"
    assert intent.usage == "off_session"
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    assert types(api) == ["setup_intent.created"]


class TestBrowser:
    def test_confirms_and_the_card_is_saved(self, api, browser, intent, customer):
        answer = browser.confirm(intent, payment_method="pm_card_visa")
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.json()["status"] == "succeeded"
        method = api.v1.payment_methods.retrieve(answer.json()["payment_method"])
        assert method.customer == customer.id
        stored = api.v1.setup_intents.retrieve(
            intent.id, params={"expand": ["latest_attempt", "payment_method"]}
        )
        assert stored.latest_attempt.status == "succeeded"
        assert stored.payment_method.id == method.id
        assert types(api) == ["setup_intent.succeeded", "setup_intent.created"]

    def test_sends_the_card_as_a_token(self, api, browser, intent):
        answer = browser.confirm(
            intent,
            **{
                "payment_method_data[type]": "card",
                "payment_method_data[card][token]": "tok_mastercard",
                "payment_method_data[billing_details][name]": "Ada",
                "expected_payment_method_type": "card",
                "use_stripe_sdk": "true",
            },
        )
        method = api.v1.payment_methods.retrieve(answer.json()["payment_method"])
        assert (method.card.brand, method.billing_details.name) == ("mastercard", "Ada")

    def test_sees_nothing_of_the_customer(self, browser, intent):
        seen = browser.retrieve(intent).json()
        assert seen["status"] == "requires_payment_method"
        assert "customer" not in seen
        assert "metadata" not in seen

    def test_needs_the_client_secret(self, api, browser, intent):
        intent.client_secret = f"{intent.id}_secret_guessed"
        error = browser.confirm(intent, payment_method="pm_card_visa").json()["error"]
        assert (error["param"], error["code"]) == (
            "client_secret",
            "setup_intent_invalid_parameter",
        )
        intent.client_secret = None
        error = browser.confirm(intent, payment_method="pm_card_visa").json()["error"]
        assert error["code"] == "parameter_missing"
        assert api.v1.setup_intents.retrieve(intent.id).status == "requires_payment_method"

    def test_is_told_of_a_decline_without_the_customer(self, browser, intent):
        answer = browser.confirm(intent, payment_method="pm_card_chargeDeclined")
        assert answer.status_code == 402
        assert "customer" not in answer.json()["error"]["setup_intent"]


class TestServer:
    def test_creates_and_confirms_at_once(self, api, customer):
        intent = api.v1.setup_intents.create(
            params={
                "customer": customer.id,
                "payment_method": "pm_card_visa",
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
        assert intent.status == "succeeded"
        assert len(api.v1.customers.payment_methods.list(customer.id).data) == 1

    def test_must_give_a_return_url_where_methods_may_redirect(self, api, customer):
        params = {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True}
        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            api.v1.setup_intents.create(params=params)
        params["return_url"] = "https://example.com"
        assert api.v1.setup_intents.create(params=params).status == "succeeded"

    def test_must_give_a_method(self, api, intent):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.setup_intents.confirm(intent.id)
        assert refusal.value.code == "setup_intent_unexpected_state"
        assert refusal.value.error.setup_intent.id == intent.id

    def test_cannot_save_another_customers_card(self, api, intent):
        other = api.v1.customers.create()
        method = api.v1.payment_methods.attach("pm_card_visa", params={"customer": other.id})
        with pytest.raises(stripe.InvalidRequestError, match="does not have a payment method"):
            api.v1.setup_intents.confirm(intent.id, params={"payment_method": method.id})

    def test_update_and_list(self, api, intent, customer):
        updated = api.v1.setup_intents.update(
            intent.id, params={"payment_method": "pm_card_visa", "metadata": {"more": "1"}}
        )
        assert updated.status == "requires_confirmation"
        assert updated.metadata.to_dict() == {"tenant_id": "tnt_1", "more": "1"}
        other = api.v1.setup_intents.create()
        assert other.customer is None
        listed = api.v1.setup_intents.list(params={"customer": customer.id})
        assert [each.id for each in listed.data] == [intent.id]


def test_a_decline_leaves_it_open_for_another_card(api, intent):
    with pytest.raises(stripe.CardError) as declined:
        api.v1.setup_intents.confirm(
            intent.id, params={"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
        )
    inside = declined.value.error.setup_intent
    assert (inside.id, inside.status) == (intent.id, "requires_payment_method")
    stored = api.v1.setup_intents.retrieve(intent.id)
    assert stored.last_setup_error.decline_code == "insufficient_funds"
    assert stored.payment_method is None
    assert types(api)[0] == "setup_intent.setup_failed"
    again = api.v1.setup_intents.confirm(intent.id, params={"payment_method": "pm_card_visa"})
    assert (again.status, again.last_setup_error) == ("succeeded", None)


class TestChallenge:
    @pytest.mark.parametrize(
        "name", ["pm_card_authenticationRequired", "pm_card_authenticationRequiredOnSetup"]
    )
    def test_passed(self, api, browser, control, intent, customer, name):
        waiting = browser.confirm(intent, payment_method=name).json()
        assert waiting["status"] == "requires_action"
        assert waiting["next_action"]["type"] == "use_stripe_sdk"
        assert api.v1.customers.payment_methods.list(customer.id).data == []
        ended = control.post(f"/stripe/intents/{intent.id}/authenticate")
        assert ended["status"] == "succeeded"
        assert len(api.v1.customers.payment_methods.list(customer.id).data) == 1
        assert types(api)[:2] == ["setup_intent.succeeded", "setup_intent.requires_action"]

    def test_failed(self, api, browser, control, intent):
        browser.confirm(intent, payment_method="pm_card_authenticationRequired")
        ended = control.post(f"/stripe/intents/{intent.id}/authenticate", outcome="fail")
        assert ended["status"] == "requires_payment_method"
        assert ended["last_setup_error"]["code"] == "setup_intent_authentication_failure"
        assert types(api)[0] == "setup_intent.setup_failed"

    def test_by_redirect(self, api, intent):
        waiting = api.v1.setup_intents.confirm(
            intent.id,
            params={
                "payment_method": "pm_card_authenticationRequired",
                "return_url": "https://example.com/back",
            },
        )
        assert waiting.next_action.redirect_to_url.return_url == "https://example.com/back"


class TestStates:
    def test_a_succeeded_one_is_final(self, api, intent):
        api.v1.setup_intents.confirm(intent.id, params={"payment_method": "pm_card_visa"})
        for act in (
            lambda: api.v1.setup_intents.confirm(intent.id),
            lambda: api.v1.setup_intents.cancel(intent.id),
            lambda: api.v1.setup_intents.update(intent.id, params={"payment_method": "pm_card_us"}),
        ):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                act()
            assert refusal.value.code == "setup_intent_unexpected_state"
            assert refusal.value.error.setup_intent.status == "succeeded"

    def test_a_canceled_one_is_final(self, api, intent):
        canceled = api.v1.setup_intents.cancel(
            intent.id, params={"cancellation_reason": "abandoned"}
        )
        assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
        assert types(api)[0] == "setup_intent.canceled"
        with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
            api.v1.setup_intents.confirm(intent.id, params={"payment_method": "pm_card_visa"})
