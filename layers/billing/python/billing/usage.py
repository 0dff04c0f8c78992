"""How many of a plan's calls are used; the gate counts them as it admits them."""

from billing import plans, tables
from billing.models import UsageSummary
from billing.tables import SubscriptionRecord
from kernel import clock, gate
from kernel.clock import next_month
from kernel.money import Money
from kernel.principals import Caller


def summarise(caller: Caller) -> UsageSummary:
    """Return the present month's usage; of several plans, the one that includes most counts.

    One read of the gate's counter and one query; a test tenant's clock is read before.
    """
    now = clock.tenant(caller.tenant_id)
    month = f"{now:%Y-%m}"
    used = gate.count_month(caller.tenant_id, month)
    subscriptions = tables.all_of(SubscriptionRecord, caller.tenant_id, tables.SUBSCRIPTIONS)
    terms = [plans.terms(record.plan) for record in subscriptions if record.status != "canceled"]
    unlimited = any(plan.included_calls is None for plan in terms)
    included = None if unlimited else max((plan.included_calls or 0 for plan in terms), default=0)
    overage = 0 if included is None else max(0, used - included)
    price = max((plan.overage or 0 for plan in terms), default=0)
    return UsageSummary(
        month=month,
        used=used,
        included=included,
        remaining=None if included is None else max(0, included - used),
        overage=overage,
        overage_charge=Money(amount=overage * price, currency=plans.catalogue().currency),
        resets_at=next_month(now),
    )
