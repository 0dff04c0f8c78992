"""Stripe's metadata: https://docs.stripe.com/api/metadata."""

from sandbox.fake_stripe import errors
from sandbox.storage import Json

MOST_KEYS = 50
LONGEST_KEY = 40
LONGEST_VALUE = 500


def merged(current: Json, given: Json | str | None) -> Json:
    """Current metadata after an update: '' for a value unsets its key, '' for all unsets all."""
    if given is None:
        return current
    if isinstance(given, str):
        return {}
    _check(given)
    combined = {**current, **given}
    kept = {key: value for key, value in combined.items() if value != ""}
    if len(kept) > MOST_KEYS:
        raise errors.invalid("metadata", f"Metadata can have up to {MOST_KEYS} keys.")
    return kept


def _check(given: Json) -> None:
    for key, value in given.items():
        if len(key) > LONGEST_KEY:
            raise errors.invalid(
                "metadata", f"Metadata keys can have up to {LONGEST_KEY} characters: {key}"
            )
        if len(value) > LONGEST_VALUE:
            raise errors.invalid(
                f"metadata[{key}]",
                f"Metadata values can have up to {LONGEST_VALUE} characters, but you passed in a "
                f"value that is {len(value)} characters.",
            )
