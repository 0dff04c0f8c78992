"""Beginning to save a card: Stripe.js takes its number, we only learn of it by webhook."""

import hashlib
from datetime import timedelta
from typing import Final

from billing import stripe_gateway, tables
from billing.errors import AccountNotReadyError
from billing.models import SetupIntent
from billing.stripe_client import credentials, mode_of
from billing.tables import SetupIntentRecord
from kernel import clock
from kernel.errors import NotFoundError
from kernel.ids import derive_id, new_id
from kernel.principals import Caller
from kernel.tables import find
from kernel.transactions import Transaction

_KEPT_FOR: Final = timedelta(days=2)


def create(caller: Caller) -> SetupIntent:
    """Create a SetupIntent for the tenant's customer. One read, one POST, one transaction."""
    account = tables.find_account(caller.tenant_id)
    if account is None:
        raise AccountNotReadyError
    mode = mode_of(caller.tenant_id)
    setup = stripe_gateway.create_setup(
        mode, caller.tenant_id, account.stripe_customer_id, _key(caller)
    )
    record = SetupIntentRecord(
        caller.tenant_id,
        derive_id("setup", setup.created_at, setup.id),
        stripe_setup_intent_id=setup.id,
        created_at=clock.tenant(caller.tenant_id),
        expires_at=clock.wall() + _KEPT_FOR,
    )
    with Transaction(caller) as transaction:
        transaction.save(record)
        transaction.remember(record.sk)
    return _shown(caller, record, setup.client_secret)


def replay(caller: Caller, setup_intent_id: str) -> SetupIntent:
    """Answer a repeated request, without the secret. One read."""
    record = find(SetupIntentRecord, caller.tenant_id, setup_intent_id)
    if record is None:
        raise NotFoundError
    return _shown(caller, record, None)


def _shown(caller: Caller, record: SetupIntentRecord, client_secret: str | None) -> SetupIntent:
    return SetupIntent(
        id=record.sk,
        client_secret=client_secret,
        publishable_key=credentials(mode_of(caller.tenant_id)).publishable_key,
        created_at=record.created_at,
    )


def _key(caller: Caller) -> str:
    """Return Stripe's key: the same for a repeated request, whose first answer may be lost."""
    if caller.idempotency is None:
        return new_id("setup")
    digest = hashlib.sha256(caller.idempotency.key.encode()).hexdigest()
    return f"{caller.tenant_id}:setup:{digest}"
