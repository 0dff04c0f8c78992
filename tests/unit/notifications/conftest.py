"""The fixtures of notifications."""

from tests.unit.notifications.fixtures import *  # noqa: F403
