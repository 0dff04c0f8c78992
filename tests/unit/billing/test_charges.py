from dataclasses import replace
from datetime import timedelta

import pytest

from billing import charges, ledger, settlements, stripe_gateway
from billing.charges import Charge
from billing.errors import (
    DiscrepancyError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    PaymentMethodMissingError,
    PaymentMethodNotFoundError,
    StripeUnavailableError,
)
from billing.stripe_objects import Payment
from billing.tables import AttemptRecord
from contracts.billing import InvoicePaid, PaymentFailed, SubscriptionChanged
from kernel import clock
from kernel.errors import (
    RequestInFlightError,
    TenantSuspendedError,
    UnavailableError,
    VersionConflictError,
)
from kernel.ids import new_id
from kernel.principals import System
from tests.unit.billing.scenery import NOON, Calls, Company, World

DAY_8 = NOON + timedelta(days=7)
PAID = {"outcome": "paid", "next_attempt_at": None, "resume_at": None}


@pytest.fixture
def due(company: Company) -> Company:
    """A company with a card whose first invoice is due."""
    company.give_card()
    company.finalise()
    return company


def wanted(company: Company, name: str = "1", **options: object) -> Charge:
    return Charge(
        tenant_id=company.tenant_id,
        invoice_id=company.invoice.sk,
        name=name,
        actor=System(name="billing/tests"),
        **options,  # type: ignore[arg-type]
    )


def later(monkeypatch: pytest.MonkeyPatch, **span: float) -> None:
    """Let real time pass."""
    now = clock.wall() + timedelta(**span)
    monkeypatch.setattr(clock, "wall", lambda: now)


class TestPaid:
    def test_the_invoice_is_paid_and_the_subscription_runs(self, due: Company) -> None:
        assert due.charge() == PAID

        invoice, subscription = due.invoice, due.subscription
        assert (invoice.status, invoice.paid_at, invoice.card) == (
            "paid",
            DAY_8,
            "visa ending 4242",
        )
        assert subscription.status == "active"
        assert (subscription.period_starts_at, subscription.period_ends_at) == (
            DAY_8,
            invoice.period_ends_at,
        )
        assert due.account.open_invoices is None

    def test_the_card_is_charged_once_for_the_invoice(self, world: World, due: Company) -> None:
        due.charge()
        (charge,) = world.charges()

        assert (charge["amount"], charge["currency"]) == (97_00, "usd")
        assert charge["customer"] == due.account.stripe_customer_id
        assert charge["metadata"] == {
            "tenant_id": due.tenant_id,
            "invoice_id": due.invoice.sk,
            "attempt": f"{due.invoice.sk}:1",
        }

    def test_the_ledger_is_even(self, due: Company) -> None:
        due.charge()
        entries = ledger.page(due.caller(), limit=10, cursor=None).data

        assert [(entry.type, entry.amount.amount) for entry in entries] == [
            ("payment", -97_00),
            ("invoice", 97_00),
        ]
        assert ledger.balances(due.tenant_id)[due.invoice.sk].amount == 0

    def test_the_payment_is_published_with_the_subscription(
        self, world: World, due: Company
    ) -> None:
        due.charge()
        (paid,) = world.events(InvoicePaid)
        changed = world.events(SubscriptionChanged)[-1]

        assert (paid.total.amount, paid.card, paid.settles_account) == (
            97_00,
            "visa ending 4242",
            True,
        )
        assert paid.occurred_at == DAY_8
        assert (changed.status, changed.version) == ("active", 2)
        assert changed.entitlements.inboxes == 50
        assert changed.entitlements.calls_per_month is None

    def test_a_repeated_step_charges_nothing(self, world: World, due: Company) -> None:
        due.charge()

        assert due.charge() == PAID
        assert due.charge(2) == PAID
        assert len(world.charges()) == 1
        assert len(world.events(InvoicePaid)) == 1

    def test_another_open_invoice_keeps_the_account_unsettled(
        self, world: World, due: Company
    ) -> None:
        account = due.account
        account.open_invoices = {*(account.open_invoices or ()), "sub_other#inv_other"}
        account.save()
        due.charge()

        assert not world.events(InvoicePaid)[0].settles_account
        assert due.account.open_invoices == {"sub_other#inv_other"}
        assert due.subscription.status == "active"

    def test_a_card_that_is_not_the_default_can_be_charged(
        self, world: World, due: Company
    ) -> None:
        other = due.give_card("pm_card_mastercard")
        charges.charge(wanted(due, "r1", payment_method_id=other.sk))

        assert due.invoice.card == "mastercard ending 4444"

    def test_calls(self, due: Company, calls: Calls) -> None:
        charge = wanted(due)
        calls.take()
        charges.charge(charge)

        begin = ["BatchGetItem", "GetItem", "TransactWriteItems", "GetItem"]
        settle = ["BatchGetItem", "GetItem", "GetItem", "TransactWriteItems"]  # one: test clock
        assert calls.take() == begin + settle


class TestFailed:
    def test_without_a_card_an_attempt_fails_and_stripe_is_not_asked(
        self, world: World, company: Company
    ) -> None:
        company.finalise()
        answer = company.charge()

        assert (answer["outcome"], answer["next_attempt_at"]) == ("failed", "2026-11-29T12:00:00Z")
        assert world.requests() == []
        assert company.invoice.failure["code"] == "payment_method_missing"
        assert company.subscription.status == "past_due"

    @pytest.mark.parametrize(
        ("card", "code"),
        [
            ("pm_card_chargeCustomerFail", "generic_decline"),
            ("pm_card_authenticationRequired", "authentication_required"),
        ],
    )
    def test_a_decline_is_data(self, world: World, company: Company, card: str, code: str) -> None:
        company.give_card(card)
        company.finalise()
        answer = company.charge()
        attempt = company.attempt("1")

        assert answer["outcome"] == "failed"
        assert attempt is not None
        assert (attempt.status, attempt.failure["code"]) == ("failed", code)
        assert attempt.stripe_payment_intent_id is not None
        assert company.invoice.status == "open"
        assert company.invoice.attempt is None

    def test_failures_are_published_with_the_next_attempt(self, world: World, due: Company) -> None:
        world.fault("decline", code="insufficient_funds", times="always")
        answers = []
        for number, day in enumerate((7, 9, 12), start=1):
            due.set_clock(NOON + timedelta(days=day))
            answers.append(due.charge(number))
        failures = world.events(PaymentFailed)

        assert [failure.attempt for failure in failures] == [1, 2, 3]
        assert [failure.next_attempt_at for failure in failures] == [
            NOON + timedelta(days=9),
            NOON + timedelta(days=12),
            None,
        ]
        assert [answer["outcome"] for answer in answers] == ["failed"] * 3
        assert answers[2]["next_attempt_at"] is None
        assert failures[0].reason == "Your card has insufficient funds."

    def test_the_third_failure_suspends_the_subscription(self, world: World, due: Company) -> None:
        world.fault("decline", times="always")
        statuses = []
        for number in (1, 2, 3):
            due.charge(number)
            statuses.append(due.subscription.status)

        assert statuses == ["past_due", "past_due", "suspended"]
        published = [event.status for event in world.events(SubscriptionChanged)]
        assert published == ["trialing", "past_due", "suspended"]

    def test_a_repeated_step_reports_the_failure_and_tries_no_card(
        self, world: World, due: Company
    ) -> None:
        world.fault("decline")
        first = due.charge()

        assert due.charge() == first
        assert len(world.requests()) == 1
        assert len(world.events(PaymentFailed)) == 1

    def test_the_next_attempt_may_succeed(self, world: World, due: Company) -> None:
        world.fault("decline")
        due.charge()

        assert due.charge(2) == PAID
        assert [charge["metadata"]["attempt"][-2:] for charge in world.charges()] == [":2"]
        assert due.subscription.status == "active"
        assert due.invoice.failure is None

    def test_attempts_that_come_late_keep_a_day_between_them(
        self, world: World, due: Company
    ) -> None:
        world.fault("decline")
        due.set_clock(NOON + timedelta(days=20))

        assert due.charge()["next_attempt_at"] == "2026-12-11T12:00:00Z"

    def test_a_card_that_stripe_no_longer_has_fails(self, world: World, due: Company) -> None:
        (card,) = due.cards
        stripe_gateway.detach("test", card.stripe_payment_method_id)

        assert due.charge()["outcome"] == "failed"
        assert due.invoice.failure["code"] == "payment_method_unusable"

    def test_a_default_card_that_is_gone_here_fails(self, due: Company) -> None:
        due.cards[0].delete()

        assert due.charge()["outcome"] == "failed"
        assert due.invoice.failure["code"] == "payment_method_missing"


class TestSuspended:
    def test_a_suspension_for_payment_does_not_stop_its_cure(self, due: Company) -> None:
        due.suspend("payment")

        assert due.charge() == PAID

    @pytest.mark.parametrize("reason", ["abuse", "blacklisted", "terms"])
    def test_another_suspension_parks_the_charge(
        self, world: World, due: Company, reason: str
    ) -> None:
        due.suspend(reason)
        answer = due.charge()

        assert (answer["outcome"], answer["resume_at"]) == ("parked", "2026-11-27T18:00:00Z")
        assert world.requests() == []
        assert due.invoice.status == "open"
        assert due.invoice.attempt is None

    def test_lifting_it_lets_the_same_attempt_go_on(self, world: World, due: Company) -> None:
        due.suspend("abuse")
        due.charge()
        due.suspend("active")

        assert due.charge() == PAID
        assert len(world.charges()) == 1

    def test_an_attempt_that_was_cut_off_is_looked_up_but_not_repeated(
        self, world: World, due: Company
    ) -> None:
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        due.suspend("abuse")

        assert due.charge()["outcome"] == "parked"
        assert world.charges() == []


class TestUnknown:
    def test_a_lost_answer_is_found_again(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("drop", method="POST", path="/v1/payment_intents", times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        assert due.invoice.status == "charging"

        assert due.charge() == PAID
        assert len(world.charges()) == 1

    def test_a_decline_that_was_not_noted_is_found_again(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("decline")
        with monkeypatch.context() as crash:
            crash.setattr(settlements, "fail", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                due.charge()

        assert due.charge()["outcome"] == "failed"
        assert due.invoice.failure["code"] == "generic_decline"
        assert len(world.requests()) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_an_error_of_stripe_s_leaves_the_attempt_open(
        self, world: World, due: Company, status: int
    ) -> None:
        world.fault("status", status=status, times="always")
        with pytest.raises(StripeUnavailableError):
            due.charge()
        attempt = due.attempt("1")
        world.fault_ends()

        assert attempt is not None
        assert attempt.status == "started"
        assert due.charge() == PAID
        assert len(world.charges()) == 1

    def test_an_answer_that_is_no_json_is_unknown(self, world: World, due: Company) -> None:
        world.fault("corrupt", method="POST", path="/v1/payment_intents", times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()

        assert due.charge() == PAID
        assert len(world.charges()) == 1

    def test_a_key_that_stripe_may_have_forgotten_is_not_repeated(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        later(monkeypatch, hours=24)

        assert due.charge()["outcome"] == "failed"
        assert due.invoice.failure["code"] == "provider_unreachable"
        assert world.charges() == []
        assert due.charge(2) == PAID

    def test_a_charge_that_was_made_counts_however_late_it_is_found(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("drop", method="POST", path="/v1/payment_intents", times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        later(monkeypatch, hours=30)

        assert due.charge() == PAID
        assert len(world.charges()) == 1

    def test_a_payment_that_is_processing_stays_open(
        self, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        charge = stripe_gateway.charge

        def processing(*arguments: object) -> Payment:
            return replace(charge(*arguments), status="processing")  # type: ignore[arg-type]

        monkeypatch.setattr(stripe_gateway, "charge", processing)
        with pytest.raises(StripeUnavailableError):
            due.charge()

        assert due.invoice.status == "charging"
        assert due.charge() == PAID


class TestContradictions:
    @pytest.mark.parametrize("amount", [1, 98_00])
    def test_a_wrong_amount_is_never_marked_as_paid(
        self, world: World, due: Company, amount: int
    ) -> None:
        world.fault("wrong_amount", amount=amount)
        with pytest.raises(DiscrepancyError):
            due.charge()
        with pytest.raises(DiscrepancyError):
            due.charge(2)

        assert due.invoice.status == "charging"
        assert ledger.balance(due.tenant_id) == 97_00
        assert len(world.charges()) == 1
        assert world.audit("billing.discrepancy")
        assert world.events(InvoicePaid) == []


class TestConcurrency:
    def test_a_request_leaves_the_attempt_of_another_alone_for_a_while(
        self, world: World, due: Company
    ) -> None:
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        with pytest.raises(RequestInFlightError):
            charges.charge(wanted(due, "r1", waits_for_others=True))

        assert world.charges() == []

    def test_later_it_finishes_that_attempt_and_makes_none_of_its_own(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.fault("status", status=503, times=2)
        with pytest.raises(StripeUnavailableError):
            due.charge()
        later(monkeypatch, seconds=61)
        with pytest.raises(InvoiceNotPayableError):
            charges.charge(wanted(due, "r1", waits_for_others=True))

        assert due.invoice.status == "paid"
        assert len(world.charges()) == 1

    def test_the_flow_finishes_a_request_s_attempt(self, world: World, due: Company) -> None:
        world.fault("drop", method="POST", path="/v1/payment_intents", times=2)
        with pytest.raises(StripeUnavailableError):
            charges.charge(wanted(due, "r1"))

        assert due.charge() == PAID
        assert len(world.charges()) == 1
        assert due.attempt("1") is None

    def test_the_flow_goes_on_where_a_request_was_declined(
        self, world: World, due: Company
    ) -> None:
        world.fault("decline")
        charges.charge(wanted(due, "r1"))

        assert due.charge() == PAID
        assert due.subscription.status == "active"

    def test_of_two_that_begin_at_once_one_charges(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = charges._begin

        def overtaken(*arguments: object) -> AttemptRecord:
            monkeypatch.setattr(charges, "_begin", begin)
            assert due.charge() == PAID
            return begin(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(charges, "_begin", overtaken)
        with pytest.raises(InvoiceNotPayableError):
            charges.charge(wanted(due, "r1"))

        assert len(world.charges()) == 1

    def test_a_settlement_that_is_overtaken_is_done_once(
        self, world: World, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settle = settlements._settle

        def overtaken(tenant_id: str, payment: Payment, actor: System) -> object:
            monkeypatch.setattr(settlements, "_settle", settle)
            record = due.account
            record.default_payment_method_id = None
            record.save()
            settle(tenant_id, payment, actor)
            return settle(tenant_id, payment, actor)

        monkeypatch.setattr(settlements, "_settle", overtaken)
        due.charge()

        assert len(world.events(InvoicePaid)) == 1
        assert ledger.balance(due.tenant_id) == 0

    def test_who_never_gets_a_turn_is_told_to_come_back(
        self, due: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def always_overtaken(*_: object) -> AttemptRecord:
            raise VersionConflictError

        monkeypatch.setattr(charges, "_begin", always_overtaken)
        with pytest.raises(UnavailableError):
            charges.charge(wanted(due))


class TestRefused:
    def test_an_unknown_invoice(self, company: Company) -> None:
        charge = Charge(
            tenant_id=company.tenant_id,
            invoice_id=new_id("inv"),
            name="1",
            actor=System(name="billing/tests"),
        )
        with pytest.raises(InvoiceNotFoundError):
            charges.charge(charge)

    def test_an_invoice_of_another_tenant(self, world: World, due: Company) -> None:
        other = world.company()
        charge = Charge(
            tenant_id=other.tenant_id,
            invoice_id=due.invoice.sk,
            name="1",
            actor=System(name="billing/tests"),
        )
        with pytest.raises(InvoiceNotFoundError):
            charges.charge(charge)

    def test_a_card_of_another_tenant(self, world: World, due: Company) -> None:
        card = world.company().give_card()
        with pytest.raises(PaymentMethodNotFoundError):
            charges.charge(wanted(due, "r1", payment_method_id=card.sk))

    def test_a_request_without_a_card(self, company: Company) -> None:
        company.finalise()
        with pytest.raises(PaymentMethodMissingError):
            charges.charge(wanted(company, "r1"))
        assert company.attempt("r1") is None

    def test_a_suspended_request_is_told_so(self, due: Company) -> None:
        due.suspend("abuse")
        with pytest.raises(TenantSuspendedError):
            charges.charge(wanted(due, "r1"))
