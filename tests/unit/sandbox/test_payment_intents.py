"""PaymentIntents: charging saved cards, declines, 3-D Secure, capture and cancelling."""

import pytest
import stripe

BASIC = {"amount": 1000, "currency": "usd", "allowed_payment_method_types": ["card"]}


def create(api, **params):
    return api.v1.payment_intents.create(params={**BASIC, **params})


def types(api, *wanted):
    events = api.v1.events.list(params={"types": wanted or ("payment_intent.*", "charge.*")})
    return [event.type for event in events.data]


class TestCharge:
    def test_of_a_saved_card_off_session(self, api, customer, save_card, pay):
        method = save_card()
        intent = pay(
            method.id,
            amount=5000,
            description="Invoice 7",
            receipt_email="ada@example.com",
            metadata={"invoice_id": "inv_7"},
        )
        assert intent.status == "succeeded"
        assert (intent.amount_received, intent.payment_method) == (5000, method.id)
        charge = api.v1.charges.retrieve(intent.latest_charge)
        assert charge.paid
        assert charge.captured
        assert charge.payment_intent == intent.id
        assert (charge.description, charge.receipt_email) == ("Invoice 7", "ada@example.com")
        assert charge.metadata.to_dict() == {"invoice_id": "inv_7"}
        assert types(api) == [
            "payment_intent.succeeded",
            "charge.succeeded",
            "payment_intent.created",
        ]

    def test_has_a_balance_transaction(self, api, save_card, pay):
        intent = pay("pm_card_visa", expand=["latest_charge"])
        charge = intent.latest_charge
        transaction = api.v1.balance_transactions.retrieve(charge.balance_transaction)
        assert (transaction.amount, transaction.fee, transaction.net) == (1000, 59, 941)
        listed = api.v1.balance_transactions.list(params={"source": charge.id})
        assert [each.id for each in listed.data] == [transaction.id]

    def test_in_steps(self, api, customer):
        intent = create(api, customer=customer.id)
        assert intent.status == "requires_payment_method"
        updated = api.v1.payment_intents.update(
            intent.id, params={"amount": 2000, "payment_method": "pm_card_visa"}
        )
        assert (updated.status, updated.amount) == ("requires_confirmation", 2000)
        confirmed = api.v1.payment_intents.confirm(intent.id)
        assert (confirmed.status, confirmed.amount_received) == ("succeeded", 2000)

    def test_by_the_browser(self, api, browser):
        intent = create(api)
        answer = browser.confirm(intent, payment_method="pm_card_visa").json()
        assert answer["status"] == "succeeded"
        assert "latest_charge" not in answer
        assert api.v1.payment_intents.retrieve(intent.id).latest_charge

    def test_that_also_saves_the_card(self, api, customer):
        intent = create(
            api,
            customer=customer.id,
            payment_method="pm_card_visa",
            setup_future_usage="off_session",
            confirm=True,
        )
        methods = api.v1.customers.payment_methods.list(customer.id).data
        assert [method.id for method in methods] == [intent.payment_method]

    def test_lists(self, api, customer, save_card, pay):
        method = save_card()
        ids = [pay(method.id).id, pay(method.id).id]
        create(api)
        listed = api.v1.payment_intents.list(params={"customer": customer.id})
        assert [each.id for each in listed.data] == ids[::-1]
        assert len(api.v1.charges.list(params={"customer": customer.id}).data) == 2
        charges = api.v1.charges.list(params={"payment_intent": ids[0]}).data
        assert [charge.payment_intent for charge in charges] == [ids[0]]


class TestAmounts:
    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"amount": 0}, "parameter_invalid_integer", "amount"),
            ({"amount": -5}, "parameter_invalid_integer", "amount"),
            ({"amount": 49}, "amount_too_small", "amount"),
            ({"amount": 100_000_000}, "amount_too_large", "amount"),
            ({"currency": "xyz"}, None, "currency"),
        ],
    )
    def test_refusals(self, api, params, code, param):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            create(api, **params)
        assert (refusal.value.code, refusal.value.param) == (code, param)

    def test_a_currency_is_written_small(self, api):
        assert create(api, currency="EUR").currency == "eur"


class TestConfirmParameters:
    @pytest.mark.parametrize("name", ["off_session", "error_on_requires_action"])
    def test_only_with_confirm(self, api, name):
        with pytest.raises(stripe.InvalidRequestError, match="unless `confirm`") as refusal:
            create(api, **{name: True})
        assert refusal.value.param == name

    def test_return_url_where_methods_may_redirect(self, api):
        params = {"amount": 100, "currency": "usd", "payment_method": "pm_card_visa"}
        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            api.v1.payment_intents.create(params={**params, "confirm": True})
        never = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
        intent = api.v1.payment_intents.create(params={**params, **never, "confirm": True})
        assert intent.status == "succeeded"

    def test_one_method_only(self, api, browser):
        described = {
            "payment_method_data[type]": "card",
            "payment_method_data[card][token]": "tok_visa",
        }
        answer = browser.confirm(create(api), payment_method="pm_card_visa", **described)
        assert answer.json()["error"]["code"] == "parameters_exclusive"


class TestWhoseCard:
    def test_a_saved_card_needs_its_customer(self, api, customer, save_card):
        with pytest.raises(
            stripe.InvalidRequestError, match=f"belongs to the Customer {customer.id}"
        ):
            create(api, payment_method=save_card().id)

    def test_not_another_customers(self, api, save_card, pay):
        other = api.v1.customers.create()
        with pytest.raises(stripe.InvalidRequestError, match="must be attached to the customer"):
            pay(save_card().id, customer=other.id)

    def test_off_session_needs_a_saved_card(self, api, pay):
        method = api.v1.payment_methods.create(
            params={"type": "card", "card": {"token": "tok_visa"}}
        )
        with pytest.raises(stripe.InvalidRequestError, match="must be attached to the customer"):
            pay(method.id)

    def test_an_unsaved_card_pays_once(self, api):
        method = api.v1.payment_methods.create(
            params={"type": "card", "card": {"token": "tok_visa"}}
        )
        assert create(api, payment_method=method.id, confirm=True).status == "succeeded"
        with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
            create(api, payment_method=method.id, confirm=True)


class TestDecline:
    def test_of_a_saved_card(self, api, save_card, pay):
        method = save_card("pm_card_chargeCustomerFail")
        with pytest.raises(stripe.CardError) as declined:
            pay(method.id, metadata={"invoice_id": "inv_7"})
        error = declined.value.error
        assert (declined.value.http_status, error.type) == (402, "card_error")
        assert (error.code, error.decline_code) == ("card_declined", "generic_decline")
        inside = error.payment_intent
        assert inside.status == "requires_payment_method"
        assert inside.payment_method is None
        assert inside.metadata.to_dict() == {"invoice_id": "inv_7"}
        stored = api.v1.payment_intents.retrieve(inside.id, params={"expand": ["latest_charge"]})
        assert stored.last_payment_error.payment_method.id == method.id
        assert stored.latest_charge.id == error.charge
        assert (stored.latest_charge.status, stored.latest_charge.paid) == ("failed", False)
        assert stored.amount_received == 0
        assert types(api) == [
            "payment_intent.payment_failed",
            "charge.failed",
            "payment_intent.created",
        ]

    def test_then_another_card(self, api, customer, save_card, pay):
        bad, good = save_card("pm_card_chargeCustomerFail"), save_card()
        with pytest.raises(stripe.CardError) as declined:
            pay(bad.id)
        intent_id = declined.value.error.payment_intent.id
        paid = api.v1.payment_intents.confirm(
            intent_id, params={"payment_method": good.id, "off_session": True}
        )
        assert (paid.status, paid.last_payment_error) == ("succeeded", None)
        charges = api.v1.charges.list(params={"payment_intent": intent_id}).data
        assert [charge.status for charge in charges] == ["succeeded", "failed"]
        assert paid.latest_charge == charges[0].id


class TestAuthentication:
    def test_off_session_there_is_nobody_to_ask(self, api, control, customer, browser, pay):
        setup = api.v1.setup_intents.create(params={"customer": customer.id})
        browser.confirm(setup, payment_method="pm_card_authenticationRequired")
        method = control.post(f"/stripe/intents/{setup.id}/authenticate")["payment_method"]
        with pytest.raises(stripe.CardError) as declined:
            pay(method)
        error = declined.value.error
        assert (declined.value.http_status, error.code) == (402, "authentication_required")
        assert error.decline_code == "authentication_required"
        assert error.payment_intent.status == "requires_payment_method"
        assert error.payment_intent.last_payment_error.payment_method.id == method

    def test_a_card_set_up_with_authentication_is_not_asked_again(
        self, api, control, customer, browser, pay
    ):
        setup = api.v1.setup_intents.create(params={"customer": customer.id})
        browser.confirm(setup, payment_method="pm_card_authenticationRequiredOnSetup")
        method = control.post(f"/stripe/intents/{setup.id}/authenticate")["payment_method"]
        assert pay(method).status == "succeeded"

    def test_the_same_card_without_setup_is(self, save_card, pay):
        with pytest.raises(stripe.CardError) as declined:
            pay(save_card("pm_card_authenticationRequiredOnSetup").id)
        assert declined.value.code == "authentication_required"

    def test_a_card_that_counts_as_set_up(self, api, save_card, pay, customer):
        method = save_card("pm_card_authenticationRequiredSetupForOffSession")
        assert pay(method.id).status == "succeeded"
        on_session = create(api, customer=customer.id, payment_method=method.id, confirm=True)
        assert on_session.status == "requires_action"

    @pytest.mark.parametrize(
        ("outcome", "status", "event"),
        [
            ("succeed", "succeeded", "payment_intent.succeeded"),
            ("fail", "requires_payment_method", "payment_intent.payment_failed"),
        ],
    )
    def test_on_session_a_challenge(self, api, control, outcome, status, event):
        intent = create(api, payment_method="pm_card_authenticationRequired", confirm=True)
        assert intent.status == "requires_action"
        assert intent.latest_charge is None
        ended = control.post(f"/stripe/intents/{intent.id}/authenticate", outcome=outcome)
        assert ended["status"] == status
        assert types(api, "payment_intent.*")[:2] == [event, "payment_intent.requires_action"]
        assert len(api.v1.charges.list().data) == (1 if outcome == "succeed" else 0)

    def test_declined_after_the_challenge(self, api, control):
        intent = create(
            api,
            payment_method="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            confirm=True,
        )
        ended = control.post(f"/stripe/intents/{intent.id}/authenticate")
        assert ended["last_payment_error"]["decline_code"] == "insufficient_funds"

    def test_an_error_instead_of_a_challenge(self, api):
        with pytest.raises(stripe.CardError) as declined:
            create(
                api,
                payment_method="pm_card_authenticationRequired",
                confirm=True,
                error_on_requires_action=True,
            )
        assert declined.value.code == "authentication_required"
        assert declined.value.error.payment_intent.status == "requires_payment_method"

    def test_no_challenge_is_waiting(self, api, control):
        answer = control.call("POST", f"/stripe/intents/{create(api).id}/authenticate", json={})
        assert answer.status_code == 409


class TestManualCapture:
    @pytest.fixture
    def held(self, api):
        return create(api, capture_method="manual", payment_method="pm_card_visa", confirm=True)

    def test_is_held(self, api, held):
        assert (held.status, held.amount_capturable) == ("requires_capture", 1000)
        assert held.amount_received == 0
        assert not api.v1.charges.retrieve(held.latest_charge).captured
        assert types(api)[0] == "payment_intent.amount_capturable_updated"

    @pytest.mark.parametrize(("params", "amount"), [({}, 1000), ({"amount_to_capture": 400}, 400)])
    def test_capture(self, api, held, params, amount):
        captured = api.v1.payment_intents.capture(held.id, params=params)
        assert (captured.status, captured.amount_received) == ("succeeded", amount)
        assert captured.amount_capturable == 0
        assert api.v1.charges.retrieve(held.latest_charge).amount_captured == amount
        assert types(api)[:2] == ["payment_intent.succeeded", "charge.captured"]

    @pytest.mark.parametrize("amount", [0, 1001])
    def test_not_more_than_is_held(self, api, held, amount):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.payment_intents.capture(held.id, params={"amount_to_capture": amount})
        assert refusal.value.param == "amount_to_capture"

    def test_cancel_releases_it(self, api, held):
        canceled = api.v1.payment_intents.cancel(
            held.id, params={"cancellation_reason": "requested_by_customer"}
        )
        assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
        assert api.v1.charges.retrieve(held.latest_charge).refunded
        assert types(api)[:2] == ["payment_intent.canceled", "charge.refunded"]


class TestStates:
    def refused(self, act, match):
        with pytest.raises(stripe.InvalidRequestError, match=match) as refusal:
            act()
        assert refusal.value.http_status == 400
        assert refusal.value.code == "payment_intent_unexpected_state"
        assert refusal.value.error.payment_intent.object == "payment_intent"

    def test_succeeded(self, api, save_card, pay):
        intents = api.v1.payment_intents
        paid = pay(save_card().id)
        self.refused(lambda: intents.confirm(paid.id), "already succeeded")
        self.refused(lambda: intents.capture(paid.id), "could not be captured")
        self.refused(lambda: intents.cancel(paid.id), "status of succeeded")
        self.refused(lambda: intents.update(paid.id, params={"amount": 1}), "amount could not be")
        assert intents.update(paid.id, params={"metadata": {"a": "b"}}).metadata["a"] == "b"

    def test_canceled(self, api):
        intents = api.v1.payment_intents
        canceled = intents.cancel(create(api).id)
        assert canceled.canceled_at
        self.refused(
            lambda: intents.confirm(canceled.id, params={"payment_method": "pm_card_visa"}),
            "status of canceled",
        )
        self.refused(lambda: intents.cancel(canceled.id), "status of canceled")

    def test_no_method(self, api):
        intent = create(api)
        self.refused(lambda: api.v1.payment_intents.confirm(intent.id), "missing a payment method")
        self.refused(lambda: api.v1.payment_intents.capture(intent.id), "could not be captured")
