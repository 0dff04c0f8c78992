"""Fixtures of the tests of notifications; each folder's conftest takes them over."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from botocore.client import BaseClient

from kernel import aws, clock
from kernel import tables as kernel_tables
from notifications import composition
from notifications import tables as notifications_tables
from tests.unit.notifications.scenery import SECRET, Calls, Ses, Time, counted


@pytest.fixture
def table_modules() -> Sequence[ModuleType]:
    return (kernel_tables, notifications_tables)


@pytest.fixture
def ses(cloud: None, monkeypatch: pytest.MonkeyPatch) -> Ses:
    """SES, which keeps what it was given; waits between attempts take no time."""
    fake, real = Ses(), aws.client

    def client(service: str, **options: Any) -> Any:
        return fake if service == "sesv2" else real(service, **options)

    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return fake


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The real clock, at noon of 20 November 2026 until a test moves it."""
    stopped = Time()
    monkeypatch.setattr(clock, "wall", stopped)
    return stopped


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is asked of AWS (but SES) from now on."""
    seen = Calls()
    monkeypatch.setattr(BaseClient, "_make_api_call", counted(seen))
    return seen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links whose seals open without KMS."""
    monkeypatch.setattr(composition, "open_sealed", lambda *_sealed, **_context: SECRET)
