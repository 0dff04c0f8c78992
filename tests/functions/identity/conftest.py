"""The fixtures of identity."""

from tests.unit.identity.fixtures import *  # noqa: F403
