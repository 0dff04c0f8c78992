from datetime import UTC, datetime, timedelta, timezone

import pytest

from kernel.money import Money
from notifications.formats import format_date, format_moment, format_money


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (0, "USD", "$0.00"),
        (5, "USD", "$0.05"),
        (1_000, "USD", "$10.00"),
        (123_456_789, "USD", "$1,234,567.89"),
        (-1_250, "USD", "-$12.50"),
        (99_700, "EUR", "€997.00"),
        (1_250, "NGN", "₦12.50"),
        (1_250, "CHF", "12.50 CHF"),
        (500, "JPY", "500 JPY"),
        (1_234, "KWD", "1.234 KWD"),
        (-1, "KWD", "-0.001 KWD"),
    ],
)
def test_amounts(amount: int, currency: str, written: str) -> None:
    assert format_money(Money(amount=amount, currency=currency)) == written


def test_moments_are_written_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert format_date(datetime(2026, 11, 1, 3, tzinfo=tokyo)) == "31 October 2026"
    assert format_moment(datetime(2026, 11, 20, 9, 5, tzinfo=UTC)) == "20 November 2026, 09:05 UTC"
