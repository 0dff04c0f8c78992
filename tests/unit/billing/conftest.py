"""The fixtures of billing."""

from tests.unit.billing.fixtures import *  # noqa: F403
