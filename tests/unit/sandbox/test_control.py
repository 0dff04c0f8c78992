"""The control API: its guard, the log as oracle, reset."""

import pytest
import requests
import stripe


class TestGuard:
    @pytest.mark.parametrize("token", ["", "wrong"])
    def test_needs_the_token(self, control, token):
        control.token = token
        for method, path in (("GET", "/log"), ("POST", "/reset"), ("GET", "/webhooks")):
            assert control.call(method, path).status_code == 401

    def test_is_off_without_one(self, control, monkeypatch):
        monkeypatch.delenv("SANDBOX_CONTROL_TOKEN")
        control.token = ""
        assert control.call("GET", "/log").status_code == 403

    def test_is_not_stripes_key(self, base_url):
        answer = requests.get(
            f"{base_url}/_control/log",
            headers={"Authorization": "Bearer sk_test_mailroom"},
            timeout=5,
        )
        assert answer.status_code == 401

    @pytest.mark.parametrize("body", ["[]", "{", "1"])
    def test_takes_json_objects(self, control, body, base_url):
        answer = requests.post(
            f"{base_url}/_control/faults",
            data=body,
            headers={"X-Control-Token": control.token, "Content-Type": "application/json"},
            timeout=5,
        )
        assert answer.status_code == 400


class TestLog:
    def test_of_a_charge(self, control, customer, save_card, pay):
        method = save_card()
        intent = pay(method.id, key="renewal-1", metadata={"invoice_id": "inv_7"})
        pay(method.id, key="renewal-1", metadata={"invoice_id": "inv_7"})
        log = control.get("/log", path="/v1/payment_intents")
        replay, first = log["requests"]
        assert (first["provider"], first["method"]) == ("stripe", "POST")
        assert (first["status"], first["replayed"]) == (200, False)
        assert (replay["status"], replay["replayed"]) == (200, True)
        assert first["idempotency_key"] == replay["idempotency_key"] == "renewal-1"
        assert first["params"]["metadata"] == {"invoice_id": "inv_7"}
        assert first["params"]["amount"] == "1000"
        assert (first["object"], first["customer"]) == (intent.id, customer.id)
        assert [(each["amount"], each["status"]) for each in log["charges"]] == [
            (1000, "succeeded")
        ]
        assert log["charges"][0]["request"] == first["id"]

    def test_of_a_decline(self, control, save_card, pay):
        with pytest.raises(stripe.CardError):
            pay(save_card("pm_card_chargeCustomerFail").id)
        log = control.get("/log", limit=1)
        assert (log["requests"][0]["status"], log["requests"][0]["error"]) == (402, "card_declined")
        assert [(each["status"], each["paid"]) for each in log["charges"]] == [("failed", False)]

    def test_of_a_lost_answer(self, control, save_card, pay):
        method = save_card()
        armed = control.fault("timeout_after_success")
        with pytest.raises(stripe.APIError):
            pay(method.id)
        entry = control.get("/log")["requests"][0]
        assert (entry["status"], entry["performed_status"]) == (504, 200)
        assert entry["faults"] == [{"id": armed["id"], "kind": "timeout_after_success"}]
        assert len(entry["effects"]) == 1

    def test_of_what_was_refused(self, control, base_url, customer):
        requests.get(f"{base_url}/v1/customers", timeout=5)
        control.fault("status", status=503)
        requests.get(
            f"{base_url}/v1/customers/{customer.id}",
            headers={"Authorization": "Bearer sk_test_mailroom"},
            timeout=5,
        )
        injected, unauthorised, _ = control.get("/log")["requests"]
        assert (injected["status"], injected["customer"]) == (503, customer.id)
        assert unauthorised["status"] == 401

    def test_of_a_challenge(self, api, browser, control, customer):
        intent = api.v1.payment_intents.create(
            params={"amount": 100, "currency": "usd", "customer": customer.id}
        )
        browser.confirm(intent, payment_method="pm_card_authenticationRequired")
        control.post(f"/stripe/intents/{intent.id}/authenticate")
        log = control.get("/log", customer=customer.id)
        assert log["requests"][0]["path"].endswith(f"{intent.id}/authenticate")
        assert [each["payment_intent"] for each in log["charges"]] == [intent.id]

    def test_of_captures_and_refunds(self, api, control, customer, save_card, pay):
        held = pay("pm_card_visa", capture_method="manual")
        api.v1.payment_intents.capture(held.id)
        api.v1.refunds.create(params={"payment_intent": held.id})
        log = control.get("/log", customer=customer.id)
        effects = [each["object"] for entry in log["requests"] for each in entry["effects"]]
        assert effects == ["refund", "capture", "charge"]
        assert len(log["charges"]) == 1

    def test_filters(self, api, control, customer, save_card, pay):
        api.v1.customers.create(params={"metadata": {"tenant_id": "tnt_2"}})
        method = save_card()
        pay(method.id, metadata={"tenant_id": "tnt_1", "invoice_id": "inv_7"})

        def paths(**query):
            return [entry["path"] for entry in control.get("/log", **query)["requests"]]

        attach = "/v1/payment_methods/pm_card_visa/attach"
        assert paths(customer=customer.id) == ["/v1/payment_intents", attach, "/v1/customers"]
        assert paths(**{"metadata[tenant_id]": "tnt_2"}) == ["/v1/customers"]
        assert paths(**{"metadata[tenant_id]": "tnt_1", "path": "/v1/pay"}) == [
            "/v1/payment_intents"
        ]
        assert paths(method="DELETE") == []
        assert paths(provider="paystack") == []
        assert len(paths(limit=2)) == 2

    @pytest.mark.parametrize("limit", ["0", "1001", "x"])
    def test_limit(self, control, limit):
        assert control.call("GET", "/log", params={"limit": limit}).status_code == 400

    def test_secrets_are_masked(self, api, base_url, browser, control, customer):
        intent = api.v1.setup_intents.create(params={"customer": customer.id})
        browser.confirm(intent, payment_method="pm_card_visa")
        requests.post(
            f"{base_url}/v1/payment_methods",
            data={"type": "card", "card[number]": "4242424242424242", "card[cvc]": "98765432"},
            headers={"Authorization": "Bearer sk_test_very_secret"},
            timeout=5,
        )
        text = control.call("GET", "/log").text
        for secret in (
            intent.client_secret,
            "4242424242424242",
            "98765432",
            "sk_test",
            "pk_test_mail",
        ):
            assert secret not in text
        assert "seti_****" in text


class TestCharges:
    def test_as_they_stand_now(self, api, control, customer, save_card, pay):
        intent = pay(save_card().id, metadata={"tenant_id": "tnt_1"})
        api.v1.refunds.create(params={"payment_intent": intent.id})
        for query in (
            {},
            {"customer": customer.id},
            {"metadata[tenant_id]": "tnt_1"},
            {"provider": "stripe"},
        ):
            charges = control.get("/charges", **query)["data"]
            assert [(each["paid"], each["refunded"]) for each in charges] == [(True, True)]
        assert control.get("/charges", **{"metadata[tenant_id]": "tnt_2"})["data"] == []
        assert control.call("GET", "/charges", params={"provider": "x"}).status_code == 400


class TestReset:
    def test_empties_everything(self, api, control, customer):
        control.fault("drop", times="always")
        control.post("/webhooks", url="https://mailroom.example/stripe")
        assert control.post("/reset")["deleted"] > 3
        assert control.get("/log") == {"requests": [], "charges": []}
        assert control.get("/faults")["data"] == control.get("/webhooks")["data"] == []
        assert api.v1.customers.list().data == []

    def test_may_keep_the_destinations(self, control):
        control.post("/webhooks", url="https://mailroom.example/stripe")
        control.post("/reset", keep=["webhooks"])
        assert len(control.get("/webhooks")["data"]) == 1
        assert control.call("POST", "/reset", json={"keep": ["money"]}).status_code == 400
