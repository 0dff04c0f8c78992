"""The deployed system for the tests of this folder: one emulator a run, on a port of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulator import Emulator
from local.settings import Home
from local.shared import running_system
from local.system import System


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Mailroom, deployed and seeded, shared by all workers of this run.

    With MAILROOM_USE_RUNNING=1 it is the one that `make up` started, which stays as it is.
    """
    if os.environ.get("MAILROOM_USE_RUNNING") == "1":
        yield System.at(Emulator().url)
        return
    with running_system(_folder(tmp_path_factory)) as system:
        yield system


@pytest.fixture(scope="session")
def places(deployed: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that tells the tour where the deployed system is."""
    if os.environ.get("MAILROOM_USE_RUNNING") == "1":
        return Home().places
    return Home(_folder(tmp_path_factory)).places


def _folder(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "emulator"
