"""Webhooks: who gets which events, how they are signed, delivered, repeated and recorded."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
import stripe

from sandbox import delivery, entry, webhooks
from sandbox.fake_stripe.provider import signature
from sandbox.providers import Message

URL = "https://mailroom.example/stripe"
SECRET = "whsec_test_secret"


@pytest.fixture
def endpoint(control):
    return control.post("/webhooks", provider="stripe", url=URL, secret=SECRET)


def verified(message, secret=SECRET):
    return stripe.Webhook.construct_event(
        message.body, message.headers.get("Stripe-Signature"), secret
    )


def test_signatures_are_the_sdks():
    body = '{"a": "ü"}'
    assert signature(body, SECRET, 1700000000) == (
        stripe.WebhookSignature.generate_signature_header(body, SECRET, 1700000000)
    )


def test_a_verified_event(api, endpoint, post, save_card, pay):
    intent = pay(save_card().id, key="renewal-1")
    events = [verified(message) for message in post.deliver()]
    assert [event.type for event in events] == [
        "customer.created",
        "payment_method.attached",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    last = events[-1]
    assert last.data.object.id == intent.id
    assert last.data.object.status == "succeeded"
    assert (last.livemode, last.pending_webhooks) == (False, 1)
    assert last.api_version == stripe.api_version
    assert last.request.idempotency_key == "renewal-1"
    assert api.v1.events.retrieve(last.id).data.object["id"] == intent.id
    assert {url for url, _ in post.sent} == {URL}


@pytest.fixture
def customer(api, endpoint):
    """The customer, made once somebody listens."""
    return api.v1.customers.create()


class TestEndpoints:
    def test_get_what_they_ask_for(self, api, control, post):
        control.post("/webhooks", url=URL, events=["payment_intent.*", "charge.failed"])
        api.v1.payment_intents.create(params={"amount": 100, "currency": "usd"})
        api.v1.customers.create()
        assert post.types() == ["payment_intent.created"]

    def test_all_of_them(self, api, control, post, endpoint):
        control.post("/webhooks", url=f"{URL}/2")
        api.v1.customers.create()
        post.deliver()
        assert [url for url, _ in post.sent] == [URL, f"{URL}/2"]
        assert api.v1.events.list().data[0].pending_webhooks == 2

    def test_nobody_asks(self, api, post):
        api.v1.customers.create()
        assert post.tasks == []

    def test_a_secret_is_made_and_shown_once(self, control):
        made = control.post("/webhooks", url=URL)
        assert made["secret"].startswith("whsec_")
        listed = control.get("/webhooks")["data"][0]
        assert listed == {**made, "secret": f"whsec_****{made['secret'][-4:]}"}

    def test_what_is_unregistered_gets_nothing_any_more(self, api, control, post, endpoint):
        api.v1.customers.create()
        control.call("DELETE", f"/webhooks/{endpoint['id']}")
        assert post.deliver() == []
        assert control.call("DELETE", f"/webhooks/{endpoint['id']}").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [{}, {"url": "ftp://x"}, {"url": URL, "events": "all"}, {"url": URL, "provider": "x"}],
    )
    def test_refusals(self, control, body):
        assert control.call("POST", "/webhooks", json=body).status_code == 400


class TestDelivery:
    def test_is_repeated_until_it_is_taken(self, api, control, post, customer):
        answers = iter([500, 503, 200])
        post.status = lambda message: next(answers)
        assert len(post.deliver()) == 3
        assert post.naps[-2:] == [1, 5]
        recorded = control.get("/deliveries")["data"]
        assert [each["status"] for each in recorded] == [200, 503, 500]
        assert [each["succeeded"] for each in recorded] == [True, False, False]

    def test_is_given_up(self, post, customer):
        post.status = lambda message: 500
        assert len(post.deliver()) == 3

    def test_a_broken_connection_is_recorded(self, control, monkeypatch, post, customer):
        def fail(url, message):
            raise requests.ConnectionError

        monkeypatch.setattr(delivery, "sender", fail)
        post.deliver()
        recorded = control.get("/deliveries")["data"][0]
        assert (recorded["status"], recorded["failure"]) == (None, "ConnectionError")

    def test_over_a_socket(self):
        received = []

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Receiver)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        message = Message(b"{}", {"Stripe-Signature": "t=1,v1=x"})
        assert delivery._post(f"http://127.0.0.1:{server.server_port}/", message) == 204
        thread.join()
        server.server_close()
        assert received == [(b"{}", "t=1,v1=x")]

    def test_in_an_invocation_of_its_own(self, post, customer):
        """What the Lambda sends to itself is what its handler takes."""
        event = json.loads(json.dumps(webhooks.payload(post.tasks)))
        assert entry.handler(event, None) == {"attempts": 1}
        assert verified(post.sent[0][1]).type == "customer.created"

    def test_the_function_invokes_itself(self, monkeypatch):
        calls = []

        class Client:
            def invoke(self, **arguments):
                calls.append(arguments)

        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "mailroom-local-sandbox")
        monkeypatch.setattr(webhooks, "_lambda_client", Client)
        tasks = [webhooks.Task("stripe", "evt_1", "we_1")]
        webhooks._invoke_this_function(tasks)
        assert calls[0]["FunctionName"] == "mailroom-local-sandbox"
        assert calls[0]["InvocationType"] == "Event"
        assert webhooks.tasks_of(json.loads(calls[0]["Payload"])) == tasks

    def test_an_answer_does_not_depend_on_it(self, api, endpoint, monkeypatch):
        def fail(tasks):
            raise RuntimeError("no network")

        monkeypatch.setattr(webhooks.outbox, "dispatcher", fail)
        assert api.v1.customers.create().id


class TestByHand:
    """POST /_control/deliveries."""

    @pytest.fixture
    def event_id(self, api, customer, post):
        post.deliver()
        return api.v1.events.list().data[0].id

    def test_again_and_again(self, control, post, event_id):
        sent = control.post("/deliveries", event_id=event_id, times=3)["data"]
        assert [each["status"] for each in sent] == [200, 200, 200]
        assert {verified(message).id for _, message in post.sent} == {event_id}
        assert len(post.sent) == 4
        assert len(control.get("/deliveries", event_id=event_id)["data"]) == 4

    @pytest.mark.parametrize("variant", ["forged", "stale", "unsigned", "altered"])
    def test_what_must_be_refused(self, control, post, event_id, variant):
        post.status = lambda message: 400
        sent = control.post("/deliveries", event_id=event_id, variant=variant)["data"]
        assert [(each["variant"], each["status"]) for each in sent] == [(variant, 400)]
        with pytest.raises(stripe.SignatureVerificationError):
            verified(post.sent[-1][1])

    def test_from_the_future(self, control, post, event_id):
        """The SDK takes it: the bound is the receiver's to add."""
        control.post("/deliveries", event_id=event_id, variant="future")
        message = post.sent[-1][1]
        assert verified(message).id == event_id
        timestamp = int(message.headers["Stripe-Signature"].partition(",")[0].removeprefix("t="))
        assert timestamp > json.loads(message.body)["created"] + 3000

    def test_an_event_of_ones_own(self, control, post, endpoint):
        event = {"type": "payment_intent.succeeded", "data": {"object": {"id": "pi_invented"}}}
        control.post("/deliveries", event=event)
        arrived = verified(post.sent[-1][1])
        assert (arrived.data.object["id"], arrived.object) == ("pi_invented", "event")
        assert arrived.id.startswith("evt_")

    def test_to_one_endpoint(self, control, post, event_id):
        second = control.post("/webhooks", url=f"{URL}/2")
        control.post("/deliveries", event_id=event_id, endpoint_id=second["id"])
        assert post.sent[-1][0] == f"{URL}/2"

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"event_id": "evt_unknown"}, 404),
            ({}, 404),
            ({"event": {"no": "type"}}, 400),
            ({"event_id": "evt_1", "variant": "polite"}, 400),
            ({"event_id": "evt_1", "times": 0}, 400),
            ({"event_id": "evt_1", "provider": "nobody"}, 400),
        ],
    )
    def test_refusals(self, control, body, status):
        assert control.call("POST", "/deliveries", json=body).status_code == status
