"""What the shared core needs of a faked provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sandbox.storage import Json


class Variant(StrEnum):
    """How a webhook is signed: as the provider does, or in one of the ways to be refused."""

    GENUINE = "genuine"
    FORGED = "forged"
    STALE = "stale"
    FUTURE = "future"
    UNSIGNED = "unsigned"
    ALTERED = "altered"


@dataclass(frozen=True)
class Message:
    """A webhook as it goes over the wire."""

    body: bytes
    headers: dict[str, str]


class Provider(Protocol):
    """A faked provider, as the shared core sees it."""

    @property
    def name(self) -> str:
        """The name in the control API, in keys of the table and in faults."""

    def charges(self) -> Iterator[Json]:
        """All charges as they stand, newest first, with `customer` and `metadata`."""

    def complete_event(self, event: Json) -> Json:
        """Fill in what a hand-written event leaves out."""

    def message(self, event: Json, secret: str, variant: Variant, now: int) -> Message:
        """Render and sign an event."""


_registered: dict[str, Provider] = {}


def register(provider: Provider) -> None:
    """Make a provider known to the core."""
    _registered[provider.name] = provider


def get(name: str) -> Provider:
    """The provider of a name; KeyError if there is none."""
    return _registered[name]


def names() -> list[str]:
    """The names of all providers."""
    return sorted(_registered)
