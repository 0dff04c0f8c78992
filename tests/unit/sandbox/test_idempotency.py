"""Idempotency keys and races: https://docs.stripe.com/api/idempotent_requests."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
import stripe

from sandbox.fake_stripe import gateway
from sandbox.idempotency import RANGE_KEY
from sandbox.storage import IdempotencyRecord, UnitOfWork

BASIC = {"amount": 1000, "currency": "usd", "allowed_payment_method_types": ["card"]}


@pytest.fixture
def post_form(base_url):
    def call(path, key, data=None):
        return requests.post(
            base_url + path,
            data=data or {},
            headers={"Authorization": "Bearer sk_test_mailroom", "Idempotency-Key": key},
            timeout=5,
        )

    return call


def record(key):
    return IdempotencyRecord.get(f"stripe#KEY#{key}", RANGE_KEY)


class TestReplay:
    def test_the_first_answer_again_and_nothing_done(self, api, post_form, post):
        first = post_form("/v1/customers", "key-1", {"name": "Ada"})
        second = post_form("/v1/customers", "key-1", {"name": "Ada"})
        assert second.json() == first.json()
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert second.headers["Original-Request"] == first.headers["Request-Id"]
        assert second.headers["Request-Id"] != first.headers["Request-Id"]
        assert second.headers["Idempotency-Key"] == "key-1"
        assert len(api.v1.customers.list().data) == 1
        assert len(api.v1.events.list().data) == 1

    def test_of_a_charge(self, api, save_card, pay):
        method = save_card()
        assert pay(method.id, key="renewal-1").id == pay(method.id, key="renewal-1").id
        assert len(api.v1.charges.list().data) == 1

    def test_of_a_decline(self, api, save_card, pay):
        method = save_card("pm_card_chargeCustomerFail")
        charges = set()
        for _ in range(2):
            with pytest.raises(stripe.CardError) as declined:
                pay(method.id, key="renewal-1")
            charges.add(declined.value.error.charge)
        assert len(charges) == len(api.v1.charges.list().data) == 1

    def test_of_a_refusal_by_state(self, api, save_card, pay):
        paid = pay(save_card().id)
        for replayed in (None, "true"):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                api.v1.payment_intents.cancel(paid.id, options={"idempotency_key": "k"})
            assert refusal.value.headers.get("Idempotent-Replayed") == replayed

    def test_is_what_was_true_then(self, api, post_form):
        first = post_form("/v1/customers", "key-1", {"name": "Ada"}).json()
        api.v1.customers.update(first["id"], params={"name": "Bea"})
        assert post_form("/v1/customers", "key-1", {"name": "Ada"}).json()["name"] == "Ada"

    def test_not_of_wrong_parameters(self, post_form):
        assert post_form("/v1/payment_intents", "key-1", {"amount": "x"}).status_code == 400
        fixed = post_form("/v1/payment_intents", "key-1", {"amount": "100", "currency": "usd"})
        assert fixed.status_code == 200

    def test_not_after_a_day(self, api, post_form):
        first = post_form("/v1/customers", "key-1").json()
        old = record("key-1")
        old.expires_at = datetime.now(UTC) - timedelta(minutes=1)
        old.save()
        assert post_form("/v1/customers", "key-1").json()["id"] != first["id"]

    def test_keys_mean_nothing_to_reads(self, base_url, customer):
        for path in ("/v1/customers", f"/v1/customers/{customer.id}"):
            answer = requests.get(
                base_url + path,
                headers={"Authorization": "Bearer sk_test_mailroom", "Idempotency-Key": "key-1"},
                timeout=5,
            )
            assert "Idempotency-Key" not in answer.headers


class TestMisuse:
    def test_other_parameters(self, api, post_form):
        post_form("/v1/customers", "key-1", {"name": "Ada"})
        with pytest.raises(stripe.IdempotencyError, match="same parameters") as refusal:
            api.v1.customers.create(params={"name": "Bea"}, options={"idempotency_key": "key-1"})
        assert refusal.value.http_status == 400
        assert len(api.v1.customers.list().data) == 1

    def test_another_endpoint(self, api, post_form):
        post_form("/v1/customers", "key-1")
        with pytest.raises(stripe.IdempotencyError, match="'/v1/refunds' vs '/v1/customers'"):
            api.v1.refunds.create(params={"charge": "ch_1"}, options={"idempotency_key": "key-1"})

    def test_too_long(self, post_form):
        assert post_form("/v1/customers", "k" * 256).status_code == 400


class TestInFlight:
    def test_a_second_request_is_told_to_wait(self, control, post_form, naps):
        seen = []
        control.fault("slow", seconds=1, path="/v1/customers")
        naps.during = lambda: seen.append(post_form("/v1/customers", "key-1"))
        first = post_form("/v1/customers", "key-1")
        assert first.status_code == 200
        assert naps.seconds == [1]
        assert seen[0].status_code == 409
        assert seen[0].json()["error"]["code"] == "idempotency_key_in_use"
        assert post_form("/v1/customers", "key-1").json() == first.json()

    def test_the_sdk_waits_and_gets_the_answer(self, base_url, control, naps, monkeypatch):
        patient = stripe.StripeClient(
            "sk_test_mailroom", base_addresses={"api": base_url}, max_network_retries=2
        )
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        control.fault("status", status=503)
        created = patient.v1.customers.create(options={"idempotency_key": "key-1"})
        again = patient.v1.customers.create(options={"idempotency_key": "key-1"})
        assert created.id == again.id

    def test_a_request_that_died_frees_its_key_after_a_while(self, post_form):
        abandoned = IdempotencyRecord(
            "stripe#KEY#key-1",
            RANGE_KEY,
            fingerprint="f",
            endpoint="/v1/customers",
            request_id="req_dead",
            locked_until=0,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        abandoned.save()
        assert post_form("/v1/customers", "key-1").status_code == 200

    def test_a_slow_request_whose_key_was_taken_over_does_nothing(
        self, api, control, post_form, naps
    ):
        def take_over():
            stale = record("key-1")
            stale.locked_until = 0
            stale.save()
            taken.append(post_form("/v1/customers", "key-1"))

        taken: list[requests.Response] = []
        control.fault("slow", seconds=1)
        naps.during = take_over
        late = post_form("/v1/customers", "key-1")
        assert taken[0].status_code == 200
        assert late.status_code == 429
        assert len(api.v1.customers.list().data) == 1

    def test_nor_while_the_other_is_still_at_work(self, api, control, post_form, naps):
        def take_over():
            claimed = record("key-1")
            claimed.request_id = "req_other"
            claimed.save()

        control.fault("slow", seconds=1)
        naps.during = take_over
        assert post_form("/v1/customers", "key-1").status_code == 429
        assert api.v1.customers.list().data == []
        assert record("key-1").request_id == "req_other", "the other's claim is left alone"


class TestRaces:
    """Another request wins between this one's reading and its commit."""

    @pytest.fixture
    def before_commit(self, monkeypatch):
        commit = UnitOfWork.commit

        def arrange(rival, times=1):
            left = [times]

            def racing(work):
                if left[0]:
                    left[0] -= 1
                    monkeypatch.setattr(UnitOfWork, "commit", commit)
                    rival()
                    monkeypatch.setattr(UnitOfWork, "commit", racing)
                commit(work)

            monkeypatch.setattr(UnitOfWork, "commit", racing)

        return arrange

    def test_one_of_two_confirmations_charges(self, api, before_commit):
        intent = api.v1.payment_intents.create(params={**BASIC, "payment_method": "pm_card_visa"})
        before_commit(lambda: api.v1.payment_intents.confirm(intent.id))
        with pytest.raises(stripe.InvalidRequestError, match="already succeeded"):
            api.v1.payment_intents.confirm(intent.id)
        assert len(api.v1.charges.list().data) == 1

    def test_two_refunds_do_not_exceed_the_charge(self, api, before_commit, save_card, pay):
        paid = pay(save_card().id)
        params = {"payment_intent": paid.id, "amount": 600}
        before_commit(lambda: api.v1.refunds.create(params=params))
        with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
            api.v1.refunds.create(params=params)
        assert api.v1.charges.retrieve(paid.latest_charge).amount_refunded == 600

    def test_two_updates_both_count(self, api, customer, before_commit):
        update = api.v1.customers.update
        before_commit(lambda: update(customer.id, params={"metadata": {"a": "1"}}))
        update(customer.id, params={"metadata": {"b": "2"}})
        assert api.v1.customers.retrieve(customer.id).metadata.to_dict() == {
            "tenant_id": "tnt_1",
            "a": "1",
            "b": "2",
        }

    def test_a_faults_use_is_counted_once(self, api, control, save_card, before_commit, pay):
        method = save_card()
        control.fault("decline", times=2)
        before_commit(
            lambda: api.v1.payment_methods.update(method.id, params={"metadata": {"a": "1"}})
        )
        with pytest.raises(stripe.CardError):
            pay(method.id)
        assert control.get("/faults")["data"][0]["times"] == 1

    def test_who_always_loses_is_told_to_come_back(self, api, customer, before_commit):
        update = api.v1.customers.update
        before_commit(
            lambda: update(customer.id, params={"metadata": {"n": "1"}}),
            times=gateway.COMMIT_ATTEMPTS,
        )
        with pytest.raises(stripe.RateLimitError) as refusal:
            update(customer.id, params={"name": "x"}, options={"idempotency_key": "key-1"})
        assert refusal.value.error.code == "lock_timeout"
        assert refusal.value.headers["Stripe-Should-Retry"] == "true"
        assert (
            update(customer.id, params={"name": "x"}, options={"idempotency_key": "key-1"}).name
            == "x"
        )
