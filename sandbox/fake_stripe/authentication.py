"""Who calls: https://docs.stripe.com/api/authentication. The sandbox takes test keys only."""

import base64
import binascii
import re
from collections.abc import Mapping

from sandbox import settings
from sandbox.fake_stripe.errors import ApiError
from sandbox.masking import mask

_SECRET = re.compile(r"sk_test_[A-Za-z0-9_]{3,}")
_PUBLISHABLE = re.compile(r"pk_test_[A-Za-z0-9_]{3,}")

NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, "
    "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
    "https://stripe.com/docs/api#authentication for details, or we can help at "
    "https://support.stripe.com/."
)
NOT_FOR_BROWSERS = (
    "This API call cannot be made with a publishable API key. Please use a secret API key. You can "
    "find a list of your API keys at https://dashboard.stripe.com/account/apikeys."
)


def is_publishable(
    headers: Mapping[str, str], key_in_form: str | None, *, publishable_allowed: bool
) -> bool:
    """Whether the caller is a browser with a publishable key, or the error that refuses its key."""
    key = _key(headers) or key_in_form
    if not key:
        raise ApiError(401, NO_KEY)
    if key.startswith(("sk_live_", "pk_live_", "rk_live_")):
        raise ApiError(
            401,
            f"Invalid API Key provided: {mask(key)}. This is a sandbox: it takes test keys only.",
        )
    accepted = settings.stripe_keys()
    publishable = bool(_PUBLISHABLE.fullmatch(key))
    well_formed = publishable or bool(_SECRET.fullmatch(key))
    if not well_formed or (accepted and key not in accepted):
        raise ApiError(401, f"Invalid API Key provided: {mask(key)}")
    if publishable and not publishable_allowed:
        raise ApiError(403, NOT_FOR_BROWSERS, code="secret_key_required")
    return publishable


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
