"""Every fault, as the client and the receiver of webhooks experience it."""

import json

import pytest
import requests
import stripe

URL = "https://mailroom.example/stripe"
SECRET = "whsec_test_secret"


@pytest.fixture
def charge(pay):
    """Charges a good card."""
    return lambda **options: pay("pm_card_visa", **options)


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "error"),
        [(429, stripe.RateLimitError), (500, stripe.APIError), (503, stripe.APIError)],
    )
    def test_nothing_is_done(self, api, control, charge, status, error):
        control.fault("status", status=status, method="POST")
        with pytest.raises(error) as failure:
            charge(key="renewal-1")
        assert failure.value.http_status == status
        assert api.v1.charges.list().data == []
        assert charge(key="renewal-1").status == "succeeded", "the key is still free"

    def test_the_sdk_gets_over_it(self, base_url, control, monkeypatch):
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        patient = stripe.StripeClient(
            "sk_test_mailroom", base_addresses={"api": base_url}, max_network_retries=2
        )
        control.fault("status", status=500, times=2)
        assert patient.v1.customers.create().id


class TestDecline:
    @pytest.mark.parametrize(
        ("code", "error_code", "decline_code"),
        [
            (None, "card_declined", "generic_decline"),
            ("insufficient_funds", "card_declined", "insufficient_funds"),
            ("expired_card", "expired_card", "expired_card"),
            ("authentication_required", "authentication_required", "authentication_required"),
        ],
    )
    def test_of_a_good_card(self, api, control, charge, code, error_code, decline_code):
        control.fault("decline", **({"code": code} if code else {}))
        with pytest.raises(stripe.CardError) as declined:
            charge()
        assert declined.value.code == error_code
        assert declined.value.error.decline_code == decline_code
        assert charge().status == "succeeded"

    def test_waits_for_a_card_to_be_charged(self, api, control, charge, customer):
        control.fault("decline")
        api.v1.customers.retrieve(customer.id)
        with pytest.raises(stripe.CardError):
            charge()

    def test_of_a_setup(self, api, browser, control, customer):
        control.fault("decline", path="/v1/setup_intents")
        intent = api.v1.setup_intents.create(params={"customer": customer.id})
        assert browser.confirm(intent, payment_method="pm_card_visa").status_code == 402


class TestLostAnswer:
    @pytest.mark.parametrize(
        ("kind", "options", "slept"),
        [
            ("timeout_after_success", {}, 0),
            ("timeout_after_success", {"seconds": 3}, 3),
            ("drop", {}, 25),
        ],
    )
    def test_the_charge_stands(self, api, control, naps, post, charge, kind, options, slept):
        control.post("/webhooks", url=URL)
        control.fault(kind, **options)
        with pytest.raises(stripe.APIError) as failure:
            charge(key="renewal-1")
        assert failure.value.http_status == 504
        assert naps.seconds == [slept]
        assert "payment_intent.succeeded" in post.types()
        replayed = charge(key="renewal-1")
        assert replayed.status == "succeeded"
        assert [each.payment_intent for each in api.v1.charges.list().data] == [replayed.id]

    def test_webhooks_leave_before_the_wait(self, control, naps, post, charge):
        control.post("/webhooks", url=URL)
        control.fault("drop", seconds=1)
        seen = []
        naps.during = lambda: seen.extend(post.types())
        with pytest.raises(stripe.APIError):
            charge()
        assert seen[-1] == "payment_intent.succeeded"

    def test_only_of_a_success(self, api, control, save_card, pay):
        method = save_card("pm_card_chargeCustomerFail")
        control.fault("timeout_after_success")
        with pytest.raises(stripe.CardError):
            pay(method.id)
        assert len(control.get("/faults")["data"]) == 1

    def test_not_of_a_read(self, api, control, customer):
        control.fault("timeout_after_success")
        assert api.v1.customers.retrieve(customer.id).id

    def test_of_a_replay_too(self, control, charge):
        control.fault("timeout_after_success", times=2)
        for _ in range(2):
            with pytest.raises(stripe.APIError):
                charge(key="renewal-1")
        assert charge(key="renewal-1").status == "succeeded"


class TestBrokenSandbox:
    """Faults that a story about payments must notice."""

    def test_corrupt(self, api, base_url, control, charge):
        control.fault("corrupt")
        with pytest.raises(stripe.APIError, match="Invalid response body"):
            charge(key="renewal-1")
        assert len(api.v1.charges.list().data) == 1

    @pytest.mark.parametrize(("options", "taken"), [({}, 2000), ({"amount": 1}, 1)])
    def test_wrong_amount(self, api, control, charge, options, taken):
        control.fault("wrong_amount", **options)
        intent = charge()
        assert (intent.amount, intent.amount_received) == (1000, taken)
        assert api.v1.charges.retrieve(intent.latest_charge).amount == taken
        assert control.get("/log")["charges"][0]["amount"] == taken

    def test_double_charge(self, api, control, charge):
        control.fault("double_charge")
        intent = charge()
        charges = api.v1.charges.list(params={"payment_intent": intent.id}).data
        assert [each.paid for each in charges] == [True, True]
        assert len(control.get("/log")["charges"]) == 2

    def test_forget_idempotency(self, api, control, charge):
        control.fault("forget_idempotency", times="always")
        assert charge(key="renewal-1").id != charge(key="renewal-1").id
        assert len(api.v1.charges.list().data) == 2


def test_slow(api, control, naps):
    control.fault("slow", seconds=2.5)
    assert api.v1.customers.create().id
    assert naps.seconds == [2.5]


class TestWebhooks:
    @pytest.fixture(autouse=True)
    def endpoint(self, control, charge):
        return control.post("/webhooks", url=URL, secret=SECRET)

    def types(self, messages):
        return [json.loads(message.body)["type"] for message in messages]

    def test_none(self, api, control, post, charge):
        control.fault("no_webhooks", events=["payment_intent.succeeded"])
        charge()
        assert self.types(post.deliver()) == ["payment_intent.created", "charge.succeeded"]
        lost = api.v1.events.list(params={"type": "payment_intent.succeeded"}).data[0]
        control.post("/deliveries", event_id=lost.id)
        assert json.loads(post.sent[-1][1].body)["id"] == lost.id

    def test_duplicates(self, control, post, charge):
        control.fault("duplicate_webhooks", count=2, events=["charge.*"])
        charge()
        sent = post.deliver()
        assert self.types(sent) == [
            "payment_intent.created",
            *["charge.succeeded"] * 3,
            "payment_intent.succeeded",
        ]
        assert len({json.loads(message.body)["id"] for message in sent}) == 3

    def test_reordered(self, control, post, charge):
        control.fault("reorder_webhooks")
        charge()
        assert self.types(post.deliver()) == [
            "payment_intent.succeeded",
            "charge.succeeded",
            "payment_intent.created",
        ]

    def test_late(self, control, post, charge):
        control.fault("late_webhooks", seconds=5, events=["payment_intent.created"])
        charge()
        assert self.types(post.deliver())[-1] == "payment_intent.created"
        assert 5 in post.naps

    def test_badly_signed(self, control, post, charge):
        control.fault("bad_signature")
        charge()
        post.status = lambda message: 400
        sent = post.deliver()
        assert len(sent) == 3, "and not repeated"
        for message in sent:
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(
                    message.body, message.headers["Stripe-Signature"], SECRET
                )

    def test_only_of_the_next_request(self, control, post, charge):
        control.fault("no_webhooks")
        charge()
        assert post.tasks == []
        charge()
        assert len(post.tasks) == 3


class TestScope:
    def declined(self, act):
        try:
            act()
        except stripe.CardError:
            return True
        return False

    def test_times(self, control, charge):
        control.fault("decline", times=2)
        assert [self.declined(charge) for _ in range(3)] == [True, True, False]

    def test_always_until_cleared(self, control, charge):
        armed = control.fault("decline", times="always")
        assert [self.declined(charge) for _ in range(3)] == [True, True, True]
        assert control.call("DELETE", f"/faults/{armed['id']}").json() == {"deleted": 1}
        assert not self.declined(charge)

    @pytest.mark.parametrize(
        ("scope", "hit"),
        [
            ({"provider": "stripe"}, True),
            ({"provider": "paystack"}, False),
            ({"method": "POST"}, True),
            ({"method": "GET"}, False),
            ({"path": "/v1/payment_intents"}, True),
            ({"path": "/v1/setup_intents"}, False),
        ],
    )
    def test_the_line_of_the_request(self, control, charge, scope, hit):
        control.fault("decline", **scope)
        assert self.declined(charge) is hit

    def test_the_customer(self, api, control, charge, customer):
        other = api.v1.customers.create()
        control.fault("decline", customer=other.id)
        assert not self.declined(charge)
        control.fault("decline", customer=customer.id)
        assert self.declined(charge)

    def test_the_customer_of_what_the_path_names(self, api, control, customer):
        control.fault("decline", customer=customer.id)
        intent = api.v1.payment_intents.create(
            params={
                "amount": 100,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": "pm_card_visa",
                "allowed_payment_method_types": ["card"],
            }
        )
        assert self.declined(lambda: api.v1.payment_intents.confirm(intent.id))

    @pytest.mark.parametrize(
        ("metadata", "hit"),
        [
            ({"tenant_id": "tnt_1"}, True),  # the customer's
            ({"invoice_id": "inv_7"}, True),  # the request's
            ({"tenant_id": "tnt_1", "invoice_id": "inv_7"}, True),
            ({"tenant_id": "tnt_2"}, False),
        ],
    )
    def test_metadata(self, control, charge, metadata, hit):
        control.fault("decline", metadata=metadata)
        assert self.declined(lambda: charge(metadata={"invoice_id": "inv_7"})) is hit

    def test_several_at_once(self, control, naps, charge):
        control.fault("slow", seconds=1)
        control.fault("wrong_amount", amount=7)
        control.fault("corrupt")
        with pytest.raises(stripe.APIError):
            charge()
        assert naps.seconds == [1]
        assert control.get("/log")["charges"][0]["amount"] == 7


class TestControl:
    def test_list_and_clear(self, control):
        armed = control.fault("decline", customer="cus_1", code="lost_card", times=3)
        assert armed == {
            "id": armed["id"],
            "kind": "decline",
            "customer": "cus_1",
            "code": "lost_card",
            "times": 3,
        }
        control.fault("drop", times="always")
        listed = control.get("/faults")["data"]
        assert [each["times"] for each in listed] == [3, "always"]
        assert control.call("DELETE", "/faults").json() == {"deleted": 2}
        assert control.get("/faults")["data"] == []
        assert control.call("DELETE", "/faults/flt_unknown").status_code == 404

    @pytest.mark.parametrize(
        "rule",
        [
            {},
            {"kind": "earthquake"},
            {"kind": "status"},
            {"kind": "status", "status": 418},
            {"kind": "slow", "seconds": 61},
            {"kind": "slow", "seconds": "long"},
            {"kind": "decline", "seconds": 1},
            {"kind": "decline", "times": 0},
            {"kind": "decline", "times": True},
            {"kind": "decline", "metadata": "tnt_1"},
            {"kind": "duplicate_webhooks", "count": 0},
            {"kind": "no_webhooks", "events": "all"},
            {"kind": "no_webhooks", "events": [1]},
            {"kind": ["decline"]},
            {"kind": "decline", "code": 5},
            {"kind": "decline", "path": 5},
            {"kind": "decline", "metadata": {"a": 1}},
            {"kind": "wrong_amount", "amount": "much"},
        ],
    )
    def test_refusals(self, control, rule):
        answer = control.call("POST", "/faults", json=rule)
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_a_fault_is_used_up_by_one_of_two(control, charge, base_url):
    """The last use of a fault goes to one request, however many ask."""
    from sandbox import faults

    control.fault("decline")
    armed = faults.listed()[0]
    assert [faults._use_up(armed), faults._use_up(armed)] == [True, False]
    assert requests.get(base_url, timeout=5).status_code == 403
