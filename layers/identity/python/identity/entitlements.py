"""What a subscription allows, written into the gate; and what identity remembers of it."""

from collections.abc import Mapping
from typing import Final

from pynamodb.expressions.update import Action

from contracts.billing import Entitlements, SubscriptionChanged
from identity.errors import TenantNotFoundError
from identity.tables import TenantRecord
from kernel import clock
from kernel.errors import ConflictError
from kernel.observability import logger
from kernel.principals import System
from kernel.tables import GateRecord
from kernel.transactions import Transaction

USER_LIMITS: Final[Mapping[str, int]] = {"limit_user_minute": 100, "limit_tenant_minute": 1_000}
"""Calls a minute of one user and of all of a tenant's users, on every plan (DESIGN 11)."""

PROVISIONAL: Final = Entitlements(calls_per_minute=10, calls_per_month=1_000)
"""What a new tenant may do until billing has begun its subscription: as `api_free`."""


class _StaleError(ConflictError):
    """Newer entitlements have been written."""


def limits_of(entitlements: Entitlements) -> dict[str, int | None]:
    """Return the gate's attributes for entitlements; None is unlimited."""
    return {
        "limit_key_minute": entitlements.calls_per_minute,
        "limit_key_hour": entitlements.calls_per_hour,
        "limit_key_day": entitlements.calls_per_day,
        "limit_month": entitlements.calls_per_month,
    }


def apply(event: SubscriptionChanged) -> None:
    """Write the event's limits, plan and trial, unless newer ones are there. One transaction."""
    limits: list[Action] = [GateRecord.entitlements_version.set(event.version)]
    for name, value in limits_of(event.entitlements).items():
        attribute = getattr(GateRecord, name)
        limits.append(attribute.remove() if value is None else attribute.set(value))
    facts: list[Action] = [
        TenantRecord.plan.set(event.plan),
        TenantRecord.subscription_status.set(event.status),
        TenantRecord.updated_at.set(clock.wall()),
        TenantRecord.trial_ends_at.set(event.trial_ends_at)
        if event.trial_ends_at
        else TenantRecord.trial_ends_at.remove(),
    ]
    try:
        with Transaction(
            System(name="identity/apply_entitlements"), event.tenant_id
        ) as transaction:
            transaction.update(
                TenantRecord.at(event.tenant_id),
                facts,
                condition=TenantRecord.pk.exists(),
                conflict=TenantNotFoundError(),
            )
            transaction.update(
                GateRecord.for_tenant(event.tenant_id),
                limits,
                condition=GateRecord.entitlements_version < event.version,
                conflict=_StaleError(),
            )
    except _StaleError:
        logger.info("Newer entitlements are in force", version=event.version)
