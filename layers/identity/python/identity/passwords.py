"""Passwords: argon2id by OWASP's parameters, older bcrypt hashes, and what is too easy to guess.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html (19 MiB, 2, 1);
https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver (no rules of composition; a blocklist).
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from identity.errors import WeakPasswordError

MINIMUM_LENGTH: Final = 8
MAXIMUM_LENGTH: Final = 256

NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "9abGR9G1/zzLIPIPHd8isA$PFMe50LQj/bao52rA0+gzlzZh9Pu2SXX83m4XN0fHIQ"
)
"""The hash of a random password that nobody kept: unknown addresses are verified against it."""

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_BCRYPT_BYTES: Final = 72
_DISTINCT_CHARACTERS: Final = 4
_OWN_CHARACTERS: Final = 5
_SHORTEST_WORD: Final = 4


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _HASHER.hash(_canonical(password))


def verify(password: str, password_hash: str) -> bool:
    """Tell whether a password fits a hash of argon2id, or of bcrypt as imported accounts have."""
    if password_hash.startswith("$2"):
        return _verify_bcrypt(password, password_hash)
    try:
        return _HASHER.verify(password_hash, _canonical(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Tell whether a hash should be replaced now that the password is known."""
    return password_hash.startswith("$2") or _HASHER.check_needs_rehash(password_hash)


def refuse_weak(password: str, *, about: Iterable[str], field: str = "password") -> None:
    """Raise WeakPasswordError for a password that others would try first.

    `about` is what strangers know of the account: its address and its company's name.
    """
    folded = _canonical(password).casefold()
    if len(set(folded)) < _DISTINCT_CHARACTERS:
        raise WeakPasswordError("The password repeats a few characters only.", field=field)
    if folded in _common():
        raise WeakPasswordError("The password is one of the most used ones.", field=field)
    for word in _words(about):
        if word in folded and len(folded.replace(word, "")) < _OWN_CHARACTERS:
            raise WeakPasswordError(
                "The password is made of the address or the company's name.", field=field
            )


def _canonical(password: str) -> str:
    """Return the password as every keyboard sends it (NFKC, as NIST SP 800-63B asks)."""
    return unicodedata.normalize("NFKC", password)


def _verify_bcrypt(password: str, password_hash: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], password_hash.encode())
    except ValueError:
        return False


def _words(about: Iterable[str]) -> set[str]:
    """Return the words of an address or a name, and the name without its spaces."""
    words: set[str] = set()
    for text in about:
        parts = re.split(r"[\W_]+", text.casefold())
        words.update(parts, ["".join(parts)])
    return {word for word in words if len(word) >= _SHORTEST_WORD}


@cache
def _common() -> frozenset[str]:
    lines = Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
