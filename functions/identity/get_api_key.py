"""GET /v1/api-keys/{key_id}: one API key, without its secret."""

from identity import api_keys
from identity.errors import ApiKeyNotFoundError
from identity.models.api_keys import ApiKey
from identity.models.paths import ApiKeyPath
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint("GET", "/v1/api-keys/{key_id}", permission="api_keys:read", errors=(ApiKeyNotFoundError,))
def handler(caller: Caller, key_id: ApiKeyPath) -> ApiKey:
    """Describe a key."""
    return api_keys.read(caller, key_id)
