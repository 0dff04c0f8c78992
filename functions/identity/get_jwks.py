"""GET /.well-known/jwks.json: the public keys that verify access tokens (RFC 7517)."""

from aws_lambda_powertools.event_handler import Response

from identity import signing_keys
from identity.models.keys import JsonWebKeySet
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("GET", "/.well-known/jwks.json", limited=False)
def handler(_visitor: Visitor) -> Response[JsonWebKeySet]:
    """Publish the previous, the present and the next key."""
    return signing_keys.publish()
