"""POST /v1/api-keys/{key_id}/rotate: give an API key a new secret; the old one may live on a while.

Rotating again within the grace period ends the oldest secret at once.
"""

from identity import api_keys
from identity.errors import ApiKeyExpiredError, ApiKeyNotFoundError
from identity.models.api_keys import ApiKeyIssued, RotateApiKey
from identity.models.paths import ApiKeyPath
from kernel.errors import VersionConflictError
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/api-keys/{key_id}/rotate",
    permission="api_keys:write",
    replay=api_keys.read_issued,
    errors=(ApiKeyNotFoundError, ApiKeyExpiredError, VersionConflictError),
)
def handler(caller: Caller, key_id: ApiKeyPath, body: RotateApiKey) -> ApiKeyIssued:
    """Replace a key's secret."""
    return api_keys.rotate(caller, key_id, body)
