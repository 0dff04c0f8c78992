"""Where the running system is: `make up` writes it down, the tour only reads it."""

import json
import os
from dataclasses import fields
from pathlib import Path

from local.tour.cast import Places

FILE = Path(os.environ.get("MAILROOM_PLACES", ".mailroom/places.json"))


class PlacesUnknownError(Exception):
    """Nothing is known of a running system."""


def read_places() -> Places:
    """Return the places; raises PlacesUnknownError."""
    try:
        known = json.loads(FILE.read_text())
        return Places(**{field.name: known[field.name] for field in fields(Places)})
    except (FileNotFoundError, KeyError):
        raise PlacesUnknownError(f"{FILE} tells too little: run `make up` first") from None
