"""Every minute: fire the timers that are due by the real clock."""

from datetime import datetime

from kernel import timers
from kernel.triggers import schedule


@schedule("rate(1 minute)")
def handler(now: datetime) -> None:
    timers.fire_due(now)
