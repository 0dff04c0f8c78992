"""Subscriptions: one per product of a tenant, from its registration on."""

from typing import Final

from billing import plans, tables
from billing.errors import SubscriptionNotFoundError
from billing.models import Subscription, entitlements_of
from billing.steps import TrialConversion
from billing.tables import (
    AccountRecord,
    InvoiceRecord,
    LookupRecord,
    ProductRecord,
    SubscriptionRecord,
)
from contracts.billing import SubscriptionChanged
from contracts.identity import TenantRegistered
from kernel import flows
from kernel.errors import ConflictError
from kernel.ids import derive_id
from kernel.pagination import Page
from kernel.principals import Caller, System
from kernel.tables import find, query_page
from kernel.transactions import Transaction

TRIAL_FLOW: Final = "billing-trial_conversion"

_ACTOR: Final = System(name="billing/start_subscription")


class _StartedError(ConflictError):
    """The subscription was started before."""


def start(event: TenantRegistered) -> None:
    """Give a new tenant its Stripe customer, its subscription and, on a paid plan, its trial.

    Repeating it is harmless: the customer has an idempotency key, the product its one record, the
    flow its name. One read, one POST to Stripe, one transaction, then the start of the flow.
    """
    plan = plans.terms(event.plan)
    record = _new(event)
    product_key = ProductRecord.sort_key(plan.product)
    known = tables.fetch(event.tenant_id, product_key).one(ProductRecord, product_key)
    if known is None:
        _create(event, record, _create_customer(event))
    if record.trial_ends_at is not None:
        trial = plans.catalogue().trial
        payload = TrialConversion(
            tenant_id=event.tenant_id,
            subscription_id=record.sk,
            remind_at=record.started_at + trial.reminder_after,
            trial_ends_at=record.trial_ends_at,
        )
        flows.start(event.tenant_id, TRIAL_FLOW, record.sk, payload)


def page(caller: Caller, *, limit: int, cursor: str | None) -> Page[Subscription]:
    """Return a page of the tenant's subscriptions, newest first. One query."""
    records, following = query_page(
        SubscriptionRecord,
        caller.tenant_id,
        prefix=tables.SUBSCRIPTIONS,
        limit=limit,
        cursor=cursor,
    )
    return Page(data=[Subscription.of(record) for record in records], next_cursor=following)


def get(caller: Caller, subscription_id: str) -> Subscription:
    """Return a subscription of the tenant. One read."""
    return Subscription.of(read(caller.tenant_id, subscription_id))


def read(tenant_id: str, subscription_id: str) -> SubscriptionRecord:
    """Return a subscription's record; raises SubscriptionNotFoundError."""
    record = find(SubscriptionRecord, tenant_id, subscription_id)
    if record is None:
        raise SubscriptionNotFoundError
    return record


def pay_up(record: SubscriptionRecord, invoice: InvoiceRecord, *, owes_more: bool) -> None:
    """Let a subscription run to the end of a period that was paid."""
    if record.period_ends_at is None or record.period_ends_at < invoice.period_ends_at:
        record.period_starts_at = invoice.period_starts_at
        record.period_ends_at = invoice.period_ends_at
    if record.status != "canceled" and not owes_more:
        record.status = "active"


def fall_behind(record: SubscriptionRecord, *, was_last_attempt: bool) -> None:
    """Note that a scheduled attempt to charge failed; after the last the account is suspended."""
    if record.status != "canceled":
        record.status = "suspended" if was_last_attempt else "past_due"


def save_changed(transaction: Transaction, record: SubscriptionRecord) -> None:
    """Save a subscription that was read and changed, and publish what it is now."""
    transaction.save(record)
    transaction.emit(_changed(transaction, record), changes={"status": record.status})


def _new(event: TenantRegistered) -> SubscriptionRecord:
    """Return the subscription that a registration starts; the same for every repetition."""
    plan = plans.terms(event.plan)
    trial_ends_at = event.occurred_at + plans.catalogue().trial.duration if plan.is_paid else None
    return SubscriptionRecord(
        event.tenant_id,
        derive_id("sub", event.occurred_at, event.tenant_id, plan.product),
        product=plan.product,
        plan=plan.name,
        status="trialing" if plan.is_paid else "active",
        started_at=event.occurred_at,
        trial_ends_at=trial_ends_at,
    )


def _create_customer(event: TenantRegistered) -> str:
    from billing import stripe_gateway
    from billing.stripe_client import mode_of

    mode = mode_of(event.tenant_id)
    return stripe_gateway.create_customer(
        mode, event.tenant_id, event.company_name, event.owner_email
    )


def _create(event: TenantRegistered, record: SubscriptionRecord, customer_id: str) -> None:
    tenant_id = event.tenant_id
    account = AccountRecord(tenant_id, AccountRecord.SORT_KEY, stripe_customer_id=customer_id)
    lookup = LookupRecord.of(customer_id, tenant_id=tenant_id, resource_id=AccountRecord.SORT_KEY)
    product = ProductRecord(
        tenant_id, ProductRecord.sort_key(record.product), subscription_id=record.sk
    )
    try:
        with Transaction(_ACTOR, tenant_id, at=event.occurred_at) as transaction:
            transaction.create(product, conflict=_StartedError())
            transaction.create(account)
            transaction.create(lookup)
            transaction.create(record)
            transaction.emit(_changed(transaction, record), changes={"plan": record.plan})
    except _StartedError:
        return


def _changed(transaction: Transaction, record: SubscriptionRecord) -> SubscriptionChanged:
    """Return the event of a subscription as the transaction leaves it."""
    return SubscriptionChanged(
        tenant_id=record.pk,
        occurred_at=transaction.at,
        subject=record.sk,
        version=int(record.version or 0) + 1,
        plan=record.plan,
        status=record.status,
        trial_ends_at=record.trial_ends_at,
        period_ends_at=record.period_ends_at,
        entitlements=entitlements_of(record),
    )
