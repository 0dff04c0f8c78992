"""DELETE /v1/api-keys/{key_id}: kill an API key at once; members may kill their own."""

from identity import api_keys
from identity.errors import ApiKeyNotFoundError
from identity.models.paths import ApiKeyPath
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "DELETE",
    "/v1/api-keys/{key_id}",
    permission="api_keys:write",
    status=204,
    errors=(ApiKeyNotFoundError,),
)
def handler(caller: Caller, key_id: ApiKeyPath) -> None:
    """Revoke a key."""
    api_keys.revoke(caller, key_id)
