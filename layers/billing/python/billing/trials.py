"""The steps of a trial's end: its announcement and the invoice of the first paid period."""

from typing import Final

from billing import invoices, plans, subscriptions, tables
from billing.errors import SubscriptionNotFoundError
from billing.periods import Period, first_period
from billing.steps import FirstInvoiceFinalised, TrialEndAnnounced, TrialOfSubscription
from billing.tables import AccountRecord, SubscriptionRecord
from contracts.billing import TrialEnding
from kernel import clock
from kernel.principals import System
from kernel.transactions import Transaction

_ANNOUNCER: Final = System(name="billing/announce_trial_end")
_INVOICER: Final = System(name="billing/finalise_first_invoice")


def announce_end(trial: TrialOfSubscription) -> TrialEndAnnounced:
    """Publish once that a trial ends in a few days, and what will be charged then.

    One read and one transaction; a test tenant's clock is read before.
    """
    tenant_id = trial.tenant_id
    found = tables.fetch(tenant_id, trial.subscription_id, AccountRecord.SORT_KEY)
    subscription = found.one(SubscriptionRecord, trial.subscription_id)
    account = found.one(AccountRecord, AccountRecord.SORT_KEY)
    if subscription is None or account is None:
        raise SubscriptionNotFoundError
    if not _is_trialing(subscription):
        return TrialEndAnnounced(outcome="over")
    if subscription.reminded_at is None:
        subscription.reminded_at = clock.tenant(tenant_id)
        plan, period = plans.terms(subscription.plan), _first_period(subscription)
        with Transaction(_ANNOUNCER, tenant_id, at=subscription.reminded_at) as transaction:
            transaction.save(subscription)
            transaction.emit(
                TrialEnding(
                    tenant_id=tenant_id,
                    occurred_at=transaction.at,
                    subject=subscription.sk,
                    version=int(subscription.version) + 1,
                    plan=subscription.plan,
                    trial_ends_at=period.starts_at,
                    price=plan.money(plan.price),
                    first_charge=plan.money(period.total),
                    has_payment_method=account.default_payment_method_id is not None,
                )
            )
    return TrialEndAnnounced(outcome="announced")


def finalise_first_invoice(trial: TrialOfSubscription) -> FirstInvoiceFinalised:
    """Create the invoice of the first paid period. One read and what `finalise` takes."""
    subscription = subscriptions.read(trial.tenant_id, trial.subscription_id)
    if not _is_trialing(subscription):
        return FirstInvoiceFinalised(outcome="over")
    plan = plans.terms(subscription.plan)
    period = _first_period(subscription)
    invoice_id = invoices.finalise(subscription, period, plan.currency, _INVOICER)
    return FirstInvoiceFinalised(outcome="finalised", invoice_id=invoice_id)


def _is_trialing(subscription: SubscriptionRecord) -> bool:
    return bool(subscription.status == "trialing")


def _first_period(subscription: SubscriptionRecord) -> Period:
    return first_period(plans.terms(subscription.plan), subscription.trial_ends_at)
