import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from billing import (
    ledger,
    settlements,
    stripe_client,
    stripe_events,
    stripe_gateway,
    stripe_webhooks,
)
from billing.errors import StripeUnavailableError
from billing.stripe_objects import Dispute, Refund
from billing.tables import ChargebackRecord, WebhookRecord
from contracts.billing import InvoicePaid, PaymentFailed, StripeWebhookReceived
from contracts.events import PLATFORM
from functions.billing import process_stripe_webhook
from kernel.ids import new_id
from sandbox import webhooks
from tests.doubles import bus_event, sqs_event
from tests.unit.billing.scenery import API_KEY, WEBHOOK_SECRETS, Calls, Company, World


@pytest.fixture
def due(world: World, company: Company) -> Company:
    """A company with a card whose first invoice is due; no webhooks wait."""
    company.give_card()
    company.finalise()
    world.post.tasks.clear()
    return company


@pytest.fixture
def stripe_api(world: World) -> stripe.V1Services:
    """Stripe as staff use it, beside us."""
    return stripe.StripeClient(API_KEY, base_addresses={"api": world.url}).v1


def process(
    world: World, event_type: str, object_id: str, connection_id: str = "test"
) -> tuple[str, str]:
    """Work on a stored event as the subscriber does; return what came of it."""
    event_id = new_id("evt")
    now = datetime.now(UTC)
    WebhookRecord.of(
        event_id,
        connection_id=connection_id,
        event_type=event_type,
        object_id=object_id,
        created_at=now,
        received_at=now,
        body_hash="",
    ).save()
    event = StripeWebhookReceived(
        tenant_id=PLATFORM,
        occurred_at=now,
        subject=event_id,
        webhook_id=event_id,
        connection_id=connection_id,
    )
    answer = process_stripe_webhook.handler(sqs_event(bus_event(event)), None)
    assert answer == {"batchItemFailures": []}
    record = WebhookRecord.find(event_id)
    assert record is not None
    return str(record.status), str(record.detail)


def lose_settlement(monkeypatch: pytest.MonkeyPatch, company: Company, name: str) -> None:
    """Charge, but die before what Stripe says is applied."""
    with monkeypatch.context() as crash:
        crash.setattr(settlements, name, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            company.charge()


def with_status(status: str) -> Callable[..., list[Refund]]:
    """Return what lists refunds as if they were in another state."""
    refunds_of = stripe_gateway.refunds_of

    def changed(*arguments: Any) -> list[Refund]:
        return [replace(refund, status=status) for refund in refunds_of(*arguments)]

    return changed


def payment_of(world: World) -> str:
    """Return the last PaymentIntent."""
    return str(world.charges()[0]["payment_intent"])


class TestPayments:
    def test_a_webhook_settles_what_the_flow_could_not(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose_settlement(monkeypatch, due, "settle")
        world.deliver()

        assert due.invoice.status == "paid"
        assert due.subscription.status == "active"
        assert len(world.events(InvoicePaid)) == 1
        assert due.charge()["outcome"] == "paid"
        assert len(world.charges()) == 1

    def test_a_webhook_notes_a_failure_that_the_flow_could_not(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("decline", code="expired_card")
        lose_settlement(monkeypatch, due, "fail")
        world.deliver()

        assert due.invoice.failure["code"] == "expired_card"
        assert len(world.events(PaymentFailed)) == 1
        assert due.charge()["outcome"] == "failed"
        assert len(world.requests()) == 1

    def test_a_webhook_after_the_flow_changes_nothing(self, world: World, due: Company) -> None:
        due.charge()
        version = due.subscription.version
        world.deliver()

        assert len(world.events(InvoicePaid)) == 1
        assert due.subscription.version == version

    def test_an_old_failure_does_not_undo_a_payment(self, world: World, due: Company) -> None:
        world.fault("decline")
        due.charge()
        due.charge(2)
        world.post.tasks.reverse()
        world.deliver()

        assert due.invoice.status == "paid"
        assert due.invoice.failure is None

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_doubles_in_any_order_settle_once(
        self,
        world: World,
        due: Company,
        order: tuple[int, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        world.fault("decline")
        lose_settlement(monkeypatch, due, "fail")
        due.charge()
        due.charge(2)
        tasks = list(world.post.tasks)
        chosen = [tasks[index] for index in order] + tasks[3:]
        world.post.tasks[:] = [*chosen, *reversed(tasks), *chosen]
        world.deliver()

        assert due.invoice.status == "paid"
        assert ledger.balance(due.tenant_id) == 0
        assert len(world.events(InvoicePaid)) == 1
        assert set(world.post.statuses) == {200}

    def test_while_stripe_is_away_the_event_waits(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose_settlement(monkeypatch, due, "settle")
        world.post.deliver()
        waiting = [
            event
            for event in world.events(StripeWebhookReceived)
            if event.id not in world.published
        ]
        world.fault("status", status=503, times="always")
        answers = [
            process_stripe_webhook.handler(sqs_event(bus_event(event)), None) for event in waiting
        ]
        world.fault_ends()
        world.publish()

        assert all(answer["batchItemFailures"] for answer in answers)
        assert due.invoice.status == "paid"

    def test_a_payment_that_is_none_of_ours_is_left_alone(
        self, world: World, due: Company, stripe_api: stripe.V1Services
    ) -> None:
        intent = stripe_api.payment_intents.create({"amount": 500, "currency": "usd"})

        assert process(world, "payment_intent.succeeded", intent.id) == (
            "processed",
            "not an invoice's",
        )
        assert process(world, "payment_intent.succeeded", "pi_none") == (
            "processed",
            "not an invoice's",
        )


class TestContradictions:
    @pytest.fixture
    def pay_by_hand(self, due: Company, stripe_api: stripe.V1Services) -> Any:
        """Make a payment at Stripe that says something about itself."""

        def pay(metadata: dict[str, str], **params: Any) -> str:
            told = {
                "tenant_id": due.tenant_id,
                "invoice_id": due.invoice.sk,
                "attempt": f"{due.invoice.sk}:1",
            }
            return stripe_api.payment_intents.create(
                {
                    "amount": 97_00,
                    "currency": "usd",
                    "customer": due.account.stripe_customer_id,
                    "payment_method": due.cards[0].stripe_payment_method_id,
                    "allowed_payment_method_types": ["card"],
                    "confirm": True,
                    "off_session": True,
                    "metadata": told | metadata,
                    **params,  # type: ignore[typeddict-item]
                }
            ).id

        return pay

    def check(self, world: World, due: Company, payment_id: str, reason: str) -> None:
        status, detail = process(world, "payment_intent.succeeded", payment_id)

        assert (status, reason in detail) == ("discrepancy", True), detail
        assert due.invoice.status != "paid"
        assert ledger.balance(due.tenant_id) == 97_00
        assert world.events(InvoicePaid) == []
        assert len(world.audit("billing.discrepancy")) == 1

    @pytest.fixture
    def begun(self, world: World, due: Company) -> None:
        """The first attempt was begun and is open."""
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()

    @pytest.mark.usefixtures("begun")
    @pytest.mark.parametrize("amount", [96_99, 97_01, 50])
    def test_another_amount(
        self, world: World, due: Company, pay_by_hand: Any, amount: int
    ) -> None:
        self.check(world, due, pay_by_hand({}, amount=amount), f"{amount} USD were paid")

    @pytest.mark.usefixtures("begun")
    def test_another_currency(self, world: World, due: Company, pay_by_hand: Any) -> None:
        self.check(world, due, pay_by_hand({}, currency="eur"), "9700 EUR were paid")

    @pytest.mark.usefixtures("begun")
    def test_another_tenant_s_invoice(self, world: World, due: Company, pay_by_hand: Any) -> None:
        other = world.company()
        other.finalise()
        told = {"invoice_id": other.invoice.sk, "attempt": f"{other.invoice.sk}:1"}
        self.check(world, due, pay_by_hand(told), "no such invoice")
        assert other.invoice.status == "open"

    @pytest.mark.usefixtures("begun")
    def test_another_tenant_s_name(self, world: World, due: Company, pay_by_hand: Any) -> None:
        other = world.company()
        told = {"tenant_id": other.tenant_id}
        self.check(world, due, pay_by_hand(told), "another tenant")

    @pytest.mark.usefixtures("begun")
    def test_a_customer_of_nobody(
        self, world: World, due: Company, pay_by_hand: Any, stripe_api: stripe.V1Services
    ) -> None:
        stranger = stripe_api.customers.create({})
        card = stripe_api.payment_methods.attach("pm_card_visa", {"customer": stranger.id})
        payment = pay_by_hand({}, customer=stranger.id, payment_method=card.id)
        self.check(world, due, payment, "no tenant's")

    def test_an_attempt_that_was_never_begun(
        self, world: World, due: Company, pay_by_hand: Any
    ) -> None:
        self.check(world, due, pay_by_hand({}), "no such invoice or attempt")

    def test_a_second_payment(self, world: World, due: Company, pay_by_hand: Any) -> None:
        due.charge()
        status, detail = process(world, "payment_intent.succeeded", pay_by_hand({}))

        assert (status, detail) == ("discrepancy", "The invoice was paid twice")
        assert ledger.balance(due.tenant_id) == 0

    @pytest.mark.usefixtures("begun")
    def test_the_other_mode(self, world: World, due: Company, pay_by_hand: Any) -> None:
        payment = pay_by_hand({})
        status, detail = process(world, "payment_intent.succeeded", payment, "live")

        assert (status, "other mode" in detail) == ("discrepancy", True)
        assert due.invoice.status == "charging"


class TestCards:
    def test_a_setup_that_has_not_succeeded_saves_nothing(
        self, world: World, company: Company
    ) -> None:
        from billing import setup_intents
        from billing.tables import SetupIntentRecord

        intent = setup_intents.create(company.caller())
        record = SetupIntentRecord.get(company.tenant_id, intent.id)
        answer = process(world, "setup_intent.succeeded", record.stripe_setup_intent_id)

        assert answer == ("processed", "nothing to save")
        assert company.cards == []

    def test_a_setup_of_another_tenant_s_customer_is_a_contradiction(
        self, world: World, company: Company, stripe_api: stripe.V1Services
    ) -> None:
        other = world.company()
        setup = stripe_api.setup_intents.create(
            {
                "customer": other.account.stripe_customer_id,
                "payment_method": "pm_card_visa",
                "allowed_payment_method_types": ["card"],
                "confirm": True,
                "metadata": {"tenant_id": company.tenant_id},
            }
        )

        assert process(world, "setup_intent.succeeded", setup.id)[0] == "discrepancy"
        assert company.cards == other.cards == []

    def test_a_stranger_s_setup_is_not_ours(
        self, world: World, company: Company, stripe_api: stripe.V1Services
    ) -> None:
        stranger = stripe_api.customers.create({})
        setup = stripe_api.setup_intents.create(
            {
                "customer": stranger.id,
                "payment_method": "pm_card_visa",
                "allowed_payment_method_types": ["card"],
                "confirm": True,
                "metadata": {"tenant_id": company.tenant_id},
            }
        )

        assert process(world, "setup_intent.succeeded", setup.id) == ("processed", "not ours")

    def test_a_card_that_stripe_detached_is_forgotten(self, world: World, company: Company) -> None:
        card = company.give_card()
        world.post.tasks.clear()
        stripe_gateway.detach("test", card.stripe_payment_method_id)
        world.deliver()

        assert company.cards == []
        assert company.account.default_payment_method_id is None

    def test_a_detachment_of_what_is_attached_changes_nothing(
        self, world: World, company: Company
    ) -> None:
        card = company.give_card()
        stripe_id = card.stripe_payment_method_id

        assert process(world, "payment_method.detached", stripe_id)[1] == "still attached"
        assert process(world, "payment_method.detached", "pm_none")[1] == "unknown"
        assert [kept.sk for kept in company.cards] == [card.sk]

    def test_a_card_that_was_removed_before_its_webhook_came_is_not_saved(
        self, world: World, company: Company, stripe_api: stripe.V1Services
    ) -> None:
        company.begin_card()
        (method,) = stripe_api.customers.payment_methods.list(
            company.account.stripe_customer_id
        ).data
        stripe_api.payment_methods.detach(method.id)
        world.deliver()

        assert company.cards == []


class TestRefunds:
    def test_a_refund_leaves_the_ledger_even(
        self, world: World, due: Company, stripe_api: stripe.V1Services
    ) -> None:
        due.charge()
        stripe_api.refunds.create({"payment_intent": payment_of(world), "amount": 10_00})
        world.deliver()
        world.deliver()
        entries = ledger.page(due.caller(), limit=10, cursor=None).data

        assert [(entry.type, entry.amount.amount) for entry in entries][-2:] == [
            ("payment", -97_00),
            ("invoice", 97_00),
        ]
        assert {(entry.type, entry.amount.amount) for entry in entries[:2]} == {
            ("refund", 10_00),
            ("credit", -10_00),
        }
        assert ledger.balance(due.tenant_id) == 0
        assert (due.invoice.refunded, due.invoice.status) == (10_00, "paid")

    def test_several_refunds_are_each_recorded_once(
        self, world: World, due: Company, stripe_api: stripe.V1Services
    ) -> None:
        due.charge()
        for amount in (10_00, 5_00):
            stripe_api.refunds.create({"payment_intent": payment_of(world), "amount": amount})
        world.post.tasks *= 2
        world.deliver()

        assert due.invoice.refunded == 15_00
        assert len(world.audit("billing.refund_recorded")) == 2

    def test_a_refund_whose_payment_is_not_known_yet_settles_it_first(
        self,
        world: World,
        due: Company,
        stripe_api: stripe.V1Services,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        lose_settlement(monkeypatch, due, "settle")
        refund = stripe_api.refunds.create({"payment_intent": payment_of(world)})
        process(world, "charge.refunded", str(refund.charge))

        assert (due.invoice.status, due.invoice.refunded) == ("paid", 97_00)
        assert ledger.balance(due.tenant_id) == 0

    def test_a_pending_refund_is_recorded_when_it_has_gone_through(
        self,
        world: World,
        due: Company,
        stripe_api: stripe.V1Services,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        due.charge()
        refund = stripe_api.refunds.create({"payment_intent": payment_of(world)})
        with monkeypatch.context() as earlier:
            earlier.setattr(stripe_gateway, "refunds_of", with_status("pending"))
            first = process(world, "charge.refunded", str(refund.charge))
        second = process(world, "refund.updated", refund.id)

        assert (first[1], second[1]) == ("0 recorded", "1 recorded")
        assert due.invoice.refunded == 97_00

    def test_a_refund_of_something_else_is_left_alone(self, world: World, company: Company) -> None:
        assert process(world, "refund.updated", "re_none")[1] == "not an invoice's"
        assert process(world, "charge.refunded", "ch_none")[1] == "not an invoice's"

    def test_a_refund_that_failed_after_all_is_a_contradiction(
        self,
        world: World,
        due: Company,
        stripe_api: stripe.V1Services,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        due.charge()
        refund = stripe_api.refunds.create({"payment_intent": payment_of(world)})
        world.deliver()
        monkeypatch.setattr(stripe_gateway, "refunds_of", with_status("failed"))
        status, detail = process(world, "refund.failed", refund.id)

        assert (status, "failed after it had gone through" in detail) == ("discrepancy", True)


class TestChargebacks:
    def test_a_chargeback_is_recorded_once_and_staff_are_told(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        due.charge()
        dispute = Dispute(
            id="dp_1",
            payment_id=payment_of(world),
            amount=97_00,
            currency="USD",
            reason="fraudulent",
            created_at=datetime.now(UTC),
        )
        monkeypatch.setattr(stripe_gateway, "retrieve_dispute", lambda *_: dispute)
        first = process(world, "charge.dispute.created", "dp_1")
        second = process(world, "charge.dispute.created", "dp_1")
        (record,) = ChargebackRecord.query(due.tenant_id, ChargebackRecord.sk.startswith("chb_"))

        assert (first[1], second[1]) == ("recorded", "known")
        assert (record.amount, record.reason, record.invoice_id) == (
            97_00,
            "fraudulent",
            due.invoice.sk,
        )
        assert len(world.audit("billing.chargeback_opened")) == 1

    def test_a_chargeback_of_something_else_is_left_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stripe_gateway, "retrieve_dispute", lambda *_: None)

        assert process(world, "charge.dispute.created", "dp_1")[1] == "not an invoice's"


def test_each_type_that_is_announced_is_worked_on() -> None:
    assert set(stripe_events._WORK) == stripe_webhooks.HANDLED


def test_an_event_is_worked_on_once(world: World, due: Company, calls: Calls) -> None:
    due.charge()
    world.deliver()
    events = world.events(StripeWebhookReceived)
    calls.take()
    for event in events:
        process_stripe_webhook.handler.function(event)

    assert calls.take() == ["GetItem"] * len(events)


def test_calls(world: World, due: Company, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_settlement(monkeypatch, due, "settle")
    world.post.deliver()
    (event,) = [
        event
        for event in world.events(StripeWebhookReceived)
        if WebhookRecord.find(event.webhook_id).event_type == "payment_intent.succeeded"
    ]
    calls.take()
    process_stripe_webhook.handler.function(event)

    settle = ["BatchGetItem", "GetItem", "GetItem", "TransactWriteItems"]  # one: test clock
    assert calls.take() == ["GetItem", "GetItem", *settle, "UpdateItem"]


def test_live_tenants_are_served_by_the_live_connection(world: World) -> None:
    webhooks.register("stripe", "https://hooks/live", WEBHOOK_SECRETS["live"], ["*"])
    company = world.company(mode="live")
    company.begin_card()
    live = [
        task for task in world.post.tasks if task.endpoint_id != world.post.tasks[0].endpoint_id
    ]
    world.post.tasks[:] = live
    world.deliver()

    assert len(company.cards) == 1
    assert stripe_client.mode_of(company.tenant_id) == "live"
