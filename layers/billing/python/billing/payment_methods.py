"""Saved cards: what Stripe tells of them, which is the default, and their removal."""

from typing import Final

from billing import tables
from billing.errors import DiscrepancyError, PaymentMethodNotFoundError
from billing.models import PaymentMethod
from billing.tables import AccountRecord, LookupRecord, PaymentMethodRecord
from contracts.billing import PaymentMethodRemoved, PaymentMethodSaved
from kernel import clock
from kernel.errors import ConflictError, UnavailableError, VersionConflictError
from kernel.pagination import Page
from kernel.principals import Caller, Principal
from kernel.tables import find, query_page
from kernel.transactions import Transaction

_TRIES: Final = 4


class _KnownError(ConflictError):
    """The card was saved before, or saved and removed."""


def page(caller: Caller, *, limit: int, cursor: str | None) -> Page[PaymentMethod]:
    """Return a page of the tenant's cards, newest first. One query and one read."""
    records, following = query_page(
        PaymentMethodRecord,
        caller.tenant_id,
        prefix=tables.PAYMENT_METHODS,
        limit=limit,
        cursor=cursor,
    )
    default_id = _default_id(caller.tenant_id)
    data = [PaymentMethod.of(record, default_id=default_id) for record in records]
    return Page(data=data, next_cursor=following)


def get(caller: Caller, payment_method_id: str) -> PaymentMethod:
    """Return a card of the tenant. One read (of the card and the account)."""
    found = tables.fetch(caller.tenant_id, payment_method_id, AccountRecord.SORT_KEY)
    record = found.one(PaymentMethodRecord, payment_method_id)
    account = found.one(AccountRecord, AccountRecord.SORT_KEY)
    if record is None:
        raise PaymentMethodNotFoundError
    default_id = account.default_payment_method_id if account else None
    return PaymentMethod.of(record, default_id=default_id)


def make_default(caller: Caller, payment_method_id: str) -> PaymentMethod:
    """Make a card the one that is charged by itself. One transaction, one read."""
    record = PaymentMethodRecord(caller.tenant_id, payment_method_id)
    account = AccountRecord(caller.tenant_id, AccountRecord.SORT_KEY)
    with Transaction(caller) as transaction:
        transaction.check(
            record, PaymentMethodRecord.pk.exists(), conflict=PaymentMethodNotFoundError()
        )
        transaction.update(
            account,
            [AccountRecord.default_payment_method_id.set(payment_method_id)],
            condition=AccountRecord.pk.exists(),
        )
        transaction.note("billing.default_payment_method_changed", payment_method_id)
    return get(caller, payment_method_id)


def remove(caller: Caller, payment_method_id: str) -> None:
    """Have Stripe forget a card, then forget it here. Three reads, one POST, one transaction."""
    from billing import stripe_gateway
    from billing.stripe_client import mode_of

    record = find(PaymentMethodRecord, caller.tenant_id, payment_method_id)
    if record is None:
        raise PaymentMethodNotFoundError
    stripe_gateway.detach(mode_of(caller.tenant_id), record.stripe_payment_method_id)
    forget(caller.tenant_id, payment_method_id, caller)


def save(tenant_id: str, record: PaymentMethodRecord, actor: Principal) -> bool:
    """Save a card that Stripe has attached; the first becomes the default. False if known.

    One read and one transaction.
    """
    for _ in range(_TRIES):
        account = tables.find_account(tenant_id)
        if account is None:
            raise DiscrepancyError("The tenant has no account")
        lookup = LookupRecord.of(
            record.stripe_payment_method_id, tenant_id=tenant_id, resource_id=record.sk
        )
        try:
            with Transaction(actor, tenant_id, at=record.created_at) as transaction:
                transaction.create(lookup, conflict=_KnownError())
                transaction.create(record)
                if account.default_payment_method_id is None:
                    transaction.update(
                        account,
                        [AccountRecord.default_payment_method_id.set(record.sk)],
                        condition=AccountRecord.default_payment_method_id.does_not_exist(),
                    )
                transaction.emit(
                    PaymentMethodSaved(
                        tenant_id=tenant_id,
                        occurred_at=transaction.at,
                        subject=record.sk,
                        payment_method_id=record.sk,
                        card=record.card,
                    ),
                    changes={"card": record.card},
                )
        except _KnownError:
            return False
        except VersionConflictError:
            continue
        return True
    raise UnavailableError


def forget(tenant_id: str, payment_method_id: str, actor: Principal) -> bool:
    """Remove a card that Stripe has detached; the newest other one becomes the default.

    False if it is gone already. Two reads and one transaction.
    """
    for _ in range(_TRIES):
        cards = {
            card.sk: card
            for card in tables.all_of(PaymentMethodRecord, tenant_id, tables.PAYMENT_METHODS)
        }
        if (record := cards.pop(payment_method_id, None)) is None:
            return False
        try:
            _forget(record, max(cards, default=None), actor)
        except VersionConflictError:
            continue
        return True
    raise UnavailableError


def _forget(record: PaymentMethodRecord, successor: str | None, actor: Principal) -> None:
    tenant_id = record.pk
    account = AccountRecord(tenant_id, AccountRecord.SORT_KEY)
    default = AccountRecord.default_payment_method_id
    lookup = LookupRecord.of(record.stripe_payment_method_id)
    with Transaction(actor, tenant_id, at=clock.tenant(tenant_id)) as transaction:
        transaction.delete(record, condition=PaymentMethodRecord.pk.exists())
        transaction.update(lookup, [LookupRecord.removed_at.set(clock.wall())])
        if _default_id(tenant_id) == record.sk:
            action = default.set(successor) if successor else default.remove()
            transaction.update(account, [action], condition=default == record.sk)
            if successor:
                transaction.check(
                    PaymentMethodRecord(tenant_id, successor),
                    PaymentMethodRecord.pk.exists(),
                    conflict=VersionConflictError(),
                )
        else:
            transaction.check(
                account,
                default.does_not_exist() | (default != record.sk),
                conflict=VersionConflictError(),
            )
        transaction.emit(
            PaymentMethodRemoved(
                tenant_id=tenant_id,
                occurred_at=transaction.at,
                subject=record.sk,
                payment_method_id=record.sk,
            ),
            changes={"card": record.card},
        )


def _default_id(tenant_id: str) -> str | None:
    account = tables.find_account(tenant_id)
    return account.default_payment_method_id if account else None
