"""POST /v1/api-keys: create an API key; its secret is shown this once."""

from identity import api_keys
from identity.errors import PermissionsExceedError
from identity.models.api_keys import ApiKeyIssued, CreateApiKey
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/api-keys",
    permission="api_keys:write",
    status=201,
    replay=api_keys.read_issued,
    errors=(PermissionsExceedError,),
)
def handler(caller: Caller, body: CreateApiKey) -> ApiKeyIssued:
    """Create a key for the caller's tenant."""
    return api_keys.create(caller, body)
