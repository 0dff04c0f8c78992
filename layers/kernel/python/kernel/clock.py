"""The two clocks: `wall` for tokens, windows, signatures and TTL; `tenant` for the domain."""

from datetime import UTC, datetime

from kernel.ids import is_test_tenant
from kernel.tables import ClockRecord


def wall() -> datetime:
    """Return the real time, in UTC."""
    return datetime.now(UTC)


def tenant(tenant_id: str) -> datetime:
    """Return a tenant's time: its test clock's where it owns one, else the real time.

    Live tenants cost no read; a test tenant costs one consistent read.
    """
    if not is_test_tenant(tenant_id):
        return wall()
    clock = ClockRecord.find(tenant_id)
    return clock.now if clock and clock.is_owned else wall()


def next_month(moment: datetime) -> datetime:
    """Return the first instant of the month after `moment`."""
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return moment.replace(
        year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
