"""How amounts and moments are written in mail (English, UTC)."""

from datetime import UTC, datetime
from typing import Final

from kernel.money import Money

_SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "NGN": "₦"}

_WITHOUT_MINOR_UNIT: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
     "XAF", "XOF", "XPF"}
)  # fmt: skip
"""ISO 4217, list one: exponent 0."""

_THREE_DIGITS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""ISO 4217, list one: exponent 3."""


def format_money(money: Money) -> str:
    """Return an amount as people write it: `$1,250.00`, `12.50 CHF`, `500 JPY`."""
    exponent = _exponent(money.currency)
    whole, rest = divmod(abs(money.amount), 10**exponent)
    digits = f"{whole:,}" + (f".{rest:0{exponent}d}" if exponent else "")
    sign = "-" if money.amount < 0 else ""
    if symbol := _SYMBOLS.get(money.currency):
        return f"{sign}{symbol}{digits}"
    return f"{sign}{digits} {money.currency}"


def format_date(moment: datetime) -> str:
    """Return a day such as `20 November 2026`."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y}"


def format_moment(moment: datetime) -> str:
    """Return a moment such as `20 November 2026, 09:30 UTC`."""
    return f"{format_date(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def _exponent(currency: str) -> int:
    if currency in _WITHOUT_MINOR_UNIT:
        return 0
    return 3 if currency in _THREE_DIGITS else 2
