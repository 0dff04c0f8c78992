from datetime import timedelta

import pytest

from billing import invoices, ledger, periods, trials
from billing.errors import SubscriptionNotFoundError
from billing.steps import TrialOfSubscription
from billing.tables import InvoiceRecord, SubscriptionRecord
from contracts.billing import TrialEnding
from kernel.errors import VersionConflictError
from kernel.ids import new_id
from tests.unit.billing.scenery import NOON, Calls, Company, World


def trial_of(company: Company) -> TrialOfSubscription:
    return TrialOfSubscription(tenant_id=company.tenant_id, subscription_id=company.subscription.sk)


@pytest.fixture
def ended(company: Company) -> Company:
    company.set_clock(NOON + timedelta(days=7))
    return company


def test_the_end_is_announced_with_what_will_be_charged(world: World) -> None:
    company = world.company("api_starter")
    company.set_clock(NOON + timedelta(days=4))
    answer = trials.announce_end(trial_of(company))
    (event,) = world.events(TrialEnding)

    assert answer.outcome == "announced"
    assert event.trial_ends_at == NOON + timedelta(days=7)
    assert (event.price.amount, event.first_charge.amount) == (10_00, 1_00)
    assert event.occurred_at == NOON + timedelta(days=4)
    assert not event.has_payment_method


def test_a_saved_card_is_known_to_the_announcement(world: World, company: Company) -> None:
    company.save_card()
    trials.announce_end(trial_of(company))

    assert world.events(TrialEnding)[0].has_payment_method


def test_the_end_is_announced_once(world: World, company: Company) -> None:
    trials.announce_end(trial_of(company))

    assert trials.announce_end(trial_of(company)).outcome == "announced"
    assert len(world.events(TrialEnding)) == 1


def test_nothing_is_announced_of_a_trial_that_is_over(world: World, company: Company) -> None:
    company.subscription.update(actions=[SubscriptionRecord.status.set("canceled")])

    assert trials.announce_end(trial_of(company)).outcome == "over"
    assert trials.finalise_first_invoice(trial_of(company)).outcome == "over"
    assert world.events(TrialEnding) == []


def test_a_subscription_that_does_not_exist_is_an_error(company: Company) -> None:
    unknown = TrialOfSubscription(tenant_id=company.tenant_id, subscription_id=new_id("sub"))

    with pytest.raises(SubscriptionNotFoundError):
        trials.announce_end(unknown)
    with pytest.raises(SubscriptionNotFoundError):
        trials.finalise_first_invoice(unknown)


def test_the_first_invoice_is_for_the_period_after_the_trial(ended: Company) -> None:
    answer = trials.finalise_first_invoice(trial_of(ended))
    invoice = ended.invoice

    assert (answer.outcome, answer.invoice_id) == ("finalised", invoice.sk)
    assert (invoice.total, invoice.currency, invoice.status) == (97_00, "USD", "open")
    assert invoice.period_starts_at == invoice.due_at == NOON + timedelta(days=7)
    assert ended.account.open_invoices == {f"{ended.subscription.sk}#{invoice.sk}"}
    assert ledger.balance(ended.tenant_id) == 97_00


def test_a_period_is_billed_once(ended: Company) -> None:
    first = trials.finalise_first_invoice(trial_of(ended))
    second = trials.finalise_first_invoice(trial_of(ended))

    assert first == second
    assert ledger.balance(ended.tenant_id) == 97_00


def test_the_invoice_s_id_belongs_to_the_period_and_the_product(ended: Company) -> None:
    trials.finalise_first_invoice(trial_of(ended))

    start = NOON + timedelta(days=7)
    assert ended.invoice.sk == invoices.id_of(ended.tenant_id, "inbox", start)
    assert invoices.id_of(ended.tenant_id, "api", start) != ended.invoice.sk


def test_a_subscription_that_changes_meanwhile_stops_the_invoice(
    ended: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_period = periods.first_period

    def changed_meanwhile(*arguments: object) -> object:
        record = ended.subscription
        record.status = "canceled"
        record.save()
        return first_period(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "first_period", changed_meanwhile)
    with pytest.raises(VersionConflictError):
        trials.finalise_first_invoice(trial_of(ended))

    assert list(InvoiceRecord.query(ended.tenant_id, InvoiceRecord.sk.startswith("inv_"))) == []


def test_calls(ended: Company, calls: Calls) -> None:
    trial = trial_of(ended)
    calls.take()
    trials.announce_end(trial)
    assert calls.take() == ["BatchGetItem", "GetItem", "TransactWriteItems"]  # GetItem: test clock
    trials.finalise_first_invoice(trial)
    assert calls.take() == ["GetItem", "GetItem", "TransactWriteItems"]
