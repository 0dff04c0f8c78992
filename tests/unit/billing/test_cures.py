from datetime import timedelta

import pytest

from billing import charges, cures
from billing.errors import (
    InvoiceNotPayableError,
    PaymentDeclinedError,
    PaymentMethodMissingError,
    PaymentUnderReviewError,
    StripeUnavailableError,
)
from billing.models import PayInvoice
from contracts.billing import InvoicePaid, PaymentFailed
from kernel import clock
from kernel.errors import NotFoundError, RequestInFlightError
from kernel.tables import IdempotencyRecord, find
from kernel.transactions import IdempotencyRaceError
from tests.unit.billing.scenery import Calls, Company, World

DEFAULT = PayInvoice()


@pytest.fixture
def owing(company: Company) -> Company:
    """A company whose three attempts failed for want of a card, and which has one now."""
    company.finalise()
    for number in (1, 2, 3):
        company.charge(number)
    company.suspend("payment")
    company.give_card()
    return company


def pay(company: Company, key: str | None = None, body: PayInvoice = DEFAULT) -> str:
    return cures.pay(company.caller(key), company.invoice.sk, body).status


def attempt_id(company: Company, key: str) -> str:
    """Return what the Idempotency-Key is bound to."""
    keys = IdempotencyRecord.keys(company.tenant_id, "POST /route", key)
    record = find(IdempotencyRecord, *keys)
    assert record is not None
    return str(record.resource_id)


def test_paying_cures_the_subscription(world: World, owing: Company) -> None:
    assert pay(owing) == "paid"
    assert owing.subscription.status == "active"
    assert world.events(InvoicePaid)[0].settles_account
    assert len(world.charges()) == 1


def test_the_period_is_the_invoice_s_however_late_it_is_paid(owing: Company) -> None:
    owing.set_clock(owing.invoice.due_at + timedelta(days=30))
    pay(owing)

    assert owing.subscription.period_ends_at == owing.invoice.period_ends_at
    assert owing.invoice.paid_at == owing.invoice.due_at + timedelta(days=30)


def test_a_paid_invoice_is_not_paid_again(world: World, owing: Company) -> None:
    pay(owing)
    with pytest.raises(InvoiceNotPayableError):
        pay(owing)
    assert len(world.charges()) == 1


def test_a_named_card_is_charged(owing: Company) -> None:
    other = owing.give_card("pm_card_mastercard")
    pay(owing, body=PayInvoice(payment_method_id=other.sk))

    assert owing.invoice.card == "mastercard ending 4444"


def test_without_any_card_one_is_asked_for(company: Company) -> None:
    company.finalise()
    with pytest.raises(PaymentMethodMissingError):
        pay(company)


def test_a_decline_names_its_code_and_mails_nobody(world: World, owing: Company) -> None:
    world.fault("decline", code="insufficient_funds")
    mailed = len(world.events(PaymentFailed))
    with pytest.raises(PaymentDeclinedError) as caught:
        pay(owing)

    (error,) = caught.value.errors
    assert (caught.value.status, error.code) == (402, "insufficient_funds")
    assert len(world.events(PaymentFailed)) == mailed
    assert world.audit("billing.payment_declined")
    assert owing.subscription.status == "suspended"
    assert pay(owing) == "paid"


def test_each_request_is_an_attempt_of_its_own(world: World, owing: Company) -> None:
    world.fault("decline")
    with pytest.raises(PaymentDeclinedError):
        pay(owing)
    pay(owing)
    keys = [request["idempotency_key"] for request in world.requests()]

    assert len(set(keys)) == 2
    assert all(key.startswith(f"{owing.invoice.sk}:r") for key in keys)


def test_a_wrong_amount_is_under_review(world: World, owing: Company) -> None:
    world.fault("wrong_amount", amount=1)
    with pytest.raises(PaymentUnderReviewError):
        pay(owing)
    assert owing.invoice.status == "charging"


class TestRepeatedRequests:
    def test_a_replay_shows_the_paid_invoice(self, world: World, owing: Company) -> None:
        pay(owing, "key-1")

        shown = cures.replay(owing.caller("key-1"), attempt_id(owing, "key-1"))
        assert (shown.id, shown.status) == (owing.invoice.sk, "paid")
        assert len(world.charges()) == 1

    def test_a_replay_repeats_the_decline(self, world: World, owing: Company) -> None:
        world.fault("decline", code="lost_card")
        with pytest.raises(PaymentDeclinedError):
            pay(owing, "key-1")
        with pytest.raises(PaymentDeclinedError, match="declined"):
            cures.replay(owing.caller("key-1"), attempt_id(owing, "key-1"))

        assert len(world.requests()) == 1

    def test_a_replay_of_what_is_under_way_says_so(self, world: World, owing: Company) -> None:
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            pay(owing, "key-1")

        with pytest.raises(RequestInFlightError):
            cures.replay(owing.caller("key-1"), attempt_id(owing, "key-1"))

    def test_a_replay_finishes_what_was_cut_off(
        self, world: World, owing: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("drop", method="POST", path="/v1/payment_intents", times=2)
        with pytest.raises(StripeUnavailableError):
            pay(owing, "key-1")
        now = clock.wall() + timedelta(minutes=2)
        monkeypatch.setattr(clock, "wall", lambda: now)

        shown = cures.replay(owing.caller("key-1"), attempt_id(owing, "key-1"))
        assert shown.status == "paid"
        assert len(world.charges()) == 1

    def test_the_key_lives_as_long_as_the_invoice(self, owing: Company) -> None:
        pay(owing, "key-1")
        keys = IdempotencyRecord.keys(owing.tenant_id, "POST /route", "key-1")
        record = find(IdempotencyRecord, *keys)

        assert record is not None
        assert record.expires_at is None

    def test_a_twin_that_comes_at_once_is_told_of_the_other(
        self, world: World, owing: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = charges._begin

        def overtaken(*arguments: object) -> object:
            monkeypatch.setattr(charges, "_begin", begin)
            world.fault("decline")
            with pytest.raises(PaymentDeclinedError):
                pay(owing, "key-1")
            return begin(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(charges, "_begin", overtaken)
        with pytest.raises((PaymentDeclinedError, IdempotencyRaceError)):
            pay(owing, "key-1")
        assert len(world.requests()) == 1

    def test_another_tenant_s_attempt_is_not_found(self, world: World, owing: Company) -> None:
        pay(owing, "key-1")
        with pytest.raises(NotFoundError):
            cures.replay(world.company().caller("key-1"), attempt_id(owing, "key-1"))


def test_calls(owing: Company, calls: Calls) -> None:
    invoice_id = owing.invoice.sk
    calls.take()
    cures.pay(owing.caller(), invoice_id, DEFAULT)

    begin = ["BatchGetItem", "GetItem", "TransactWriteItems", "GetItem"]
    settle = ["BatchGetItem", "GetItem", "GetItem", "TransactWriteItems"]
    assert calls.take() == [*begin, *settle, "GetItem"]
