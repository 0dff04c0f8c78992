"""Refresh tokens: `rt_<user><session><family><secret>`, of which only SHA-256 is stored.

A session is a family of tokens. Each token's successor is derived from it by HMAC with a nonce that
the session record holds, so a client that repeats a refresh whose answer was lost gets the same
successor, while neither the database alone nor a token alone tells what comes next.

The family's secret is the same in all tokens of a session. It tells a token that was used up (the
family must die) from one that somebody made up around a known session id (nothing happens).
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final, Self

from identity.errors import InvalidRefreshTokenError
from kernel.authentication import hash_secret

_SUFFIX: Final = "[0-7][0-9a-hjkmnp-tv-z]{25}"
_TOKEN: Final = re.compile(rf"rt_({_SUFFIX})({_SUFFIX})([\w-]{{22}})([\w-]{{43}})", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken:
    """A refresh token, taken apart."""

    user_id: str
    session_id: str
    family: str
    secret: str

    @classmethod
    def first(cls, user_id: str, session_id: str) -> Self:
        """Return the first token of a new session."""
        return cls(user_id, session_id, secrets.token_urlsafe(16), secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a token apart; raises InvalidRefreshTokenError."""
        parts = _TOKEN.fullmatch(text)
        if parts is None:
            raise InvalidRefreshTokenError
        user, session, family, secret = parts.groups()
        return cls(f"usr_{user}", f"ses_{session}", family, secret)

    def __str__(self) -> str:
        user, session = self.user_id.removeprefix("usr_"), self.session_id.removeprefix("ses_")
        return f"rt_{user}{session}{self.family}{self.secret}"

    def successor(self, nonce: str) -> Self:
        """Return the token that follows this one in the session with this nonce."""
        digest = hmac.digest(self.secret.encode(), nonce.encode(), hashlib.sha256)
        secret = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return replace(self, secret=secret)

    @property
    def secret_hash(self) -> str:
        """Return the SHA-256 by which the token is stored."""
        return hash_secret(self.secret)

    @property
    def family_hash(self) -> str:
        """Return the SHA-256 by which the family is stored."""
        return hash_secret(self.family)


def same(stored: str | None, presented: str) -> bool:
    """Compare two hashes in constant time."""
    return stored is not None and hmac.compare_digest(stored, presented)
