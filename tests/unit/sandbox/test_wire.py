"""Keys, versions, parameters, errors, lists and expansion: what every endpoint shares."""

import pytest
import requests
import stripe

from sandbox.fake_stripe import schema


def call(base_url, method, path, key="sk_test_mailroom", headers=None, **options):
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.request(
        method, base_url + path, headers=authorization | (headers or {}), timeout=5, **options
    )


def test_the_sdk_keeps_the_path_of_its_base_address(api, base_url):
    assert base_url.count("/") > 3
    created = api.v1.customers.create(params={"email": "a@example.com"})
    assert api.v1.customers.retrieve(created.id).email == "a@example.com"
    listed = api.v1.customers.list(params={"limit": 1})
    assert [each.id for each in listed.data] == [created.id]


class TestKeys:
    def test_no_key(self, base_url):
        answer = call(base_url, "GET", "/v1/customers", key=None)
        assert answer.status_code == 401
        assert "You did not provide an API key" in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        "key", ["nonsense", "sk_test_", "rk_test_123456", "sk_test_with space"]
    )
    def test_a_bad_key(self, base_url, key):
        answer = call(base_url, "GET", "/v1/customers", key=key)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"

    def test_a_live_key_is_refused_with_a_reason(self, api, base_url):
        live = stripe.StripeClient("sk_live_abcdefgh1234", base_addresses={"api": base_url})
        with pytest.raises(stripe.AuthenticationError, match="takes test keys only") as refused:
            live.v1.customers.list()
        assert "abcdefgh" not in str(refused.value)

    def test_only_listed_keys_where_keys_are_listed(self, api, base_url, monkeypatch):
        monkeypatch.setenv("SANDBOX_STRIPE_KEYS", "sk_test_listed, pk_test_listed")
        with pytest.raises(stripe.AuthenticationError):
            api.v1.customers.list()
        assert call(base_url, "GET", "/v1/customers", key="sk_test_listed").ok

    def test_the_key_as_user_name(self, base_url):
        answer = requests.get(f"{base_url}/v1/customers", auth=("sk_test_mailroom", ""), timeout=5)
        assert answer.ok

    def test_a_publishable_key_where_a_secret_one_is_needed(self, base_url):
        browser = stripe.StripeClient("pk_test_mailroom", base_addresses={"api": base_url})
        with pytest.raises(stripe.PermissionError, match="publishable API key"):
            browser.v1.customers.list()


class TestVersion:
    def test_is_echoed(self, base_url):
        answer = call(base_url, "GET", "/v1/customers")
        assert answer.headers["Stripe-Version"] == stripe.api_version == schema.api_version()

    def test_another_is_refused(self, base_url):
        answer = call(base_url, "GET", "/v1/customers", headers={"Stripe-Version": "2020-08-27"})
        assert answer.status_code == 400
        assert "Invalid Stripe API version" in answer.json()["error"]["message"]


class TestParameters:
    def refused(self, api, **params):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.payment_intents.create(params=params)
        return refusal.value

    def test_unknown(self, api):
        error = self.refused(api, amount=100, currency="usd", payment_method_types=["card"])
        assert (error.http_status, error.code) == (400, "parameter_unknown")
        assert error.param == "payment_method_types"
        assert "Received unknown parameter: payment_method_types" in error.user_message

    def test_unknown_inside(self, api):
        error = self.refused(
            api, amount=100, currency="usd", automatic_payment_methods={"enabled": True, "x": 1}
        )
        assert error.param == "automatic_payment_methods[x]"

    def test_several_unknown(self, api):
        error = self.refused(api, amount=100, currency="usd", one=1, two=2)
        assert "unknown parameters: one, two" in error.user_message

    def test_missing(self, api):
        error = self.refused(api, currency="usd")
        assert (error.code, error.param) == ("parameter_missing", "amount")

    def test_missing_inside(self, api):
        error = self.refused(api, amount=100, currency="usd", shipping={"name": "Ada"})
        assert (error.code, error.param) == ("parameter_missing", "shipping[address]")

    @pytest.mark.parametrize(
        ("params", "param", "message"),
        [
            ({"capture_method": "later"}, "capture_method", "must be one of automatic, "),
            ({"amount": "ten"}, "amount", "Invalid integer: ten"),
            ({"confirm": "maybe"}, "confirm", "Invalid boolean: maybe"),
            ({"metadata": "text"}, "metadata", "Invalid object"),
            ({"shipping": "text"}, "shipping", "Invalid object"),
            ({"allowed_payment_method_types": "card"}, "allowed_payment_method_types", "array"),
            (
                {"allowed_payment_method_types": ["card", "cheque"]},
                "allowed_payment_method_types[1]",
                "must be one of",
            ),
            ({"description": {"a": "b"}}, "description", "Invalid string"),
            ({"off_session": "sometimes", "confirm": True}, "off_session", "one_off"),
        ],
    )
    def test_wrong_values(self, api, params, param, message):
        error = self.refused(api, **{"amount": 100, "currency": "usd", **params})
        assert error.param == param
        assert message in error.user_message

    def test_empty_where_it_cannot_be_unset(self, api):
        error = self.refused(api, amount="", currency="usd")
        assert error.code == "parameter_invalid_empty"

    def test_what_the_sandbox_does_not_do_is_refused_not_ignored(self, api):
        error = self.refused(api, amount=100, currency="usd", application_fee_amount=5)
        assert (error.code, error.param) == ("sandbox_unimplemented", "application_fee_amount")

    def test_lists_by_empty_brackets_and_by_index(self, base_url):
        answer = call(
            base_url,
            "POST",
            "/v1/payment_intents",
            data="amount=100&currency=usd&allowed_payment_method_types[]=card"
            "&allowed_payment_method_types[]=link&metadata[a][]=",
        )
        assert answer.json()["error"]["param"] == "metadata[a]"
        answer = call(
            base_url,
            "POST",
            "/v1/payment_intents",
            data="amount=100&currency=usd&allowed_payment_method_types[]=card"
            "&allowed_payment_method_types[]=link&metadata[0]=digits",
        )
        assert answer.json()["payment_method_types"] == ["card", "link"]
        assert answer.json()["metadata"] == {"0": "digits"}

    @pytest.mark.parametrize(
        "body", ["a[b=1", "amount=1&amount[x]=2", "a[b][c][d][e][f][g][h][i][j][k]=1"]
    )
    def test_names_that_cannot_be_nested(self, base_url, body):
        assert call(base_url, "POST", "/v1/payment_intents", data=body).status_code == 400

    def test_json_is_refused(self, base_url):
        answer = call(base_url, "POST", "/v1/customers", json={"email": "a@example.com"})
        assert answer.status_code == 400
        assert "x-www-form-urlencoded" in answer.json()["error"]["message"]


class TestErrors:
    def test_envelope(self, api):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.payment_intents.retrieve("pi_unknown")
        error = refusal.value
        assert (error.http_status, error.code, error.param) == (404, "resource_missing", "intent")
        assert str(error.request_id).startswith("req_")
        assert error.error.doc_url.endswith("/resource-missing")
        assert error.error.request_log_url.endswith(str(error.request_id))

    def test_an_id_of_another_type_names_nothing(self, api, customer):
        with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
            api.v1.payment_intents.retrieve(customer.id)

    def test_an_id_in_a_parameter_is_400(self, api):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.payment_intents.create(
                params={"amount": 100, "currency": "usd", "customer": "cus_unknown"}
            )
        assert (refusal.value.http_status, refusal.value.param) == (400, "customer")

    def test_a_fault_of_the_sandbox_itself_is_an_api_error(self, api, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("boom")

        monkeypatch.setattr("sandbox.fake_stripe.objects.customer", fail)
        with pytest.raises(stripe.APIError) as failure:
            api.v1.customers.create(options={"idempotency_key": "k"})
        assert failure.value.http_status == 500
        monkeypatch.undo()
        assert api.v1.customers.create(options={"idempotency_key": "k"}).id, "the key is free again"


class TestLists:
    def test_pages_newest_first(self, api):
        ids = [api.v1.customers.create().id for _ in range(5)][::-1]
        first = api.v1.customers.list(params={"limit": 2})
        assert [each.id for each in first.data] == ids[:2]
        assert first.has_more
        second = api.v1.customers.list(params={"limit": 2, "starting_after": ids[1]})
        assert [each.id for each in second.data] == ids[2:4]
        last = api.v1.customers.list(params={"limit": 2, "starting_after": ids[3]})
        assert [each.id for each in last.data] == ids[4:]
        assert not last.has_more
        back = api.v1.customers.list(params={"limit": 2, "ending_before": ids[3]})
        assert [each.id for each in back.data] == ids[1:3]
        assert back.has_more

    def test_the_sdk_walks_all_pages(self, api):
        ids = [api.v1.customers.create().id for _ in range(5)]
        walked = api.v1.customers.list(params={"limit": 2}).auto_paging_iter()
        assert [each.id for each in walked] == ids[::-1]

    def test_created(self, api, customer):
        created = customer.created
        for bounds, found in (
            ({"gte": created}, 1),
            ({"gt": created}, 0),
            ({"lte": created, "gte": created}, 1),
            (created, 1),
        ):
            assert len(api.v1.customers.list(params={"created": bounds}).data) == found

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 101}, "limit"),
            ({"starting_after": "cus_unknown"}, "starting_after"),
            ({"starting_after": "cus_a", "ending_before": "cus_b"}, "starting_after"),
        ],
    )
    def test_refusals(self, api, params, param):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            api.v1.customers.list(params=params)
        assert refusal.value.param == param


class TestExpansion:
    def test_of_an_object(self, api, customer, save_card, pay):
        intent = pay("pm_card_visa", expand=["latest_charge.balance_transaction", "customer"])
        assert intent.latest_charge.balance_transaction.net == 1000 - 29 - 30
        assert intent.customer.id == customer.id
        assert isinstance(api.v1.payment_intents.retrieve(intent.id).latest_charge, str)

    def test_of_a_list(self, api, customer, save_card, pay):
        pay(save_card().id)
        listed = api.v1.payment_intents.list(
            params={"customer": customer.id, "expand": ["data.latest_charge"]}
        )
        assert listed.data[0].latest_charge.paid

    def test_of_nothing_yet(self, api):
        intent = api.v1.payment_intents.create(
            params={"amount": 100, "currency": "usd", "expand": ["latest_charge"]}
        )
        assert intent.latest_charge is None

    @pytest.mark.parametrize("path", ["amount", "customer.nothing", "data.customer"])
    def test_refusals(self, api, customer, path):
        with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
            api.v1.payment_intents.create(
                params={"amount": 100, "currency": "usd", "customer": customer.id, "expand": [path]}
            )
