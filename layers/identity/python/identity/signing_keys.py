"""The public keys by which others verify our access tokens (RFC 7517)."""

from typing import Final

from aws_lambda_powertools.event_handler import Response

from identity.models.keys import JsonWebKey, JsonWebKeySet
from kernel import tokens

MAXIMUM_AGE_SECONDS: Final = 300
"""Short against the hours for which a key is published before anything is signed with it."""


def publish() -> Response[JsonWebKeySet]:
    """Return the keys of all generations, for anybody to keep for five minutes."""
    keys = [JsonWebKey.model_validate(key) for key in tokens.public_keys().values()]
    return Response(
        status_code=200,
        content_type="application/json",
        body=JsonWebKeySet(keys=keys),
        headers={"Cache-Control": f"public, max-age={MAXIMUM_AGE_SECONDS}"},
    )
