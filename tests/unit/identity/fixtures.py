"""Fixtures of identity's tests: its tables and keys, a clock that stands still, counted calls."""

from collections.abc import Sequence
from types import ModuleType

import pytest

from identity import tables as identity_tables
from kernel import aws, clock
from kernel import tables as kernel_tables
from tests.unit.identity.scenery import Calls, Wall


@pytest.fixture
def table_modules() -> Sequence[ModuleType]:
    return (kernel_tables, identity_tables)


@pytest.fixture
def world(tables: None, keys: None) -> None:
    """Everything that identity needs of AWS."""


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    stopped = Wall()
    monkeypatch.setattr(clock, "wall", stopped)
    return stopped


@pytest.fixture
def calls(world: None) -> Calls:
    counted = Calls()
    for client in (
        aws.client("dynamodb"),
        aws.client("dynamodb", single_attempt=True),
        aws.client("kms"),
    ):
        counted.listen(client)
    return counted
