"""Identifiers that sort by the time of their making, so a range key lists objects in order."""

import secrets
import threading
import time

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS = 11  # 62**11 nanoseconds reach beyond the year 3600
_RANDOM_DIGITS = 13


class _Clock:
    """Nanoseconds since the epoch, never the same twice in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def tick(self) -> int:
        with self._lock:
            self._last = max(time.time_ns(), self._last + 1)
            return self._last


_clock = _Clock()


def new_id(prefix: str) -> str:
    """A new identifier, `<prefix>_` and 24 letters or digits."""
    return f"{prefix}_{_digits(_clock.tick(), _TIME_DIGITS)}{random_text(_RANDOM_DIGITS)}"


def random_text(length: int) -> str:
    """Unguessable letters and digits."""
    return _digits(secrets.randbelow(len(_ALPHABET) ** length), length)


def _digits(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
