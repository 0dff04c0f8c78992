"""POST /v1/auth/refresh: exchange a refresh token for a new pair of tokens.

Each refresh token is good once. The same one may be repeated within 30 s, if the answer was lost;
later, its session ends.
"""

from identity import sessions
from identity.errors import InvalidRefreshTokenError, RefreshTokenReusedError
from identity.models.auth import RefreshSession, SessionTokens
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/auth/refresh", errors=(InvalidRefreshTokenError, RefreshTokenReusedError))
def handler(visitor: Visitor, body: RefreshSession) -> SessionTokens:
    """Carry a session on."""
    return sessions.refresh(visitor, body)
