"""The deployed system for the tests of this folder: one emulator a run, on a port of its own."""

import os
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
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
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with running_system(run / "emulator") as system:
        yield system
