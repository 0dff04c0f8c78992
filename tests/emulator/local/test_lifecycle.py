"""The launcher starts once, ends wholly, and never outlives those for whom it was started."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import settings
from local.emulator import Emulator
from local.errors import LocalError
from local.session import Clients
from local.settings import Home
from local.shared import free_port

HOLDS_A_LOCK = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_SH)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    emulator = Emulator(free_port(), Home(tmp_path / "home"))
    yield emulator
    emulator.stop()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_starts_once_and_leaves_nothing(emulator: Emulator) -> None:
    assert emulator.start()
    assert not emulator.start()
    record = emulator.running()
    assert record is not None
    assert Clients(emulator.url).client("sts").get_caller_identity()["Account"] == (
        settings.ACCOUNT_ID
    )
    assert emulator.stop()
    wait_until(lambda: not alive(record["pid"]))
    assert not emulator.home.temporary.exists()
    assert emulator.running() is None
    assert not emulator.answers()
    assert not emulator.stop()


@pytest.mark.parametrize(("switch", "auth"), [("on", "enabled"), ("off", "disabled")])
def test_iam_can_be_switched_off(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, switch: str, auth: str
) -> None:
    monkeypatch.setenv("MAILROOM_IAM", switch)
    emulator.start()
    with urllib.request.urlopen(f"{emulator.url}/_ministack/health") as response:
        assert json.load(response)["auth"] == auth


def test_state_survives_a_restart_on_request(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_PERSIST", "1")
    emulator.start()
    clients = Clients(emulator.url)
    clients.client("ssm").put_parameter(Name="/kept", Value="yes", Type="String")
    emulator.stop()
    emulator.start()
    assert clients.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "yes"


def test_it_starts_again_after_it_was_killed(emulator: Emulator) -> None:
    emulator.start()
    record = emulator.running()
    assert record is not None
    os.kill(record["pid"], signal.SIGKILL)
    wait_until(lambda: emulator.running() is None)
    assert emulator.start()


def test_a_second_one_on_the_same_port_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    emulator.start()
    with pytest.raises(LocalError, match=f"port {emulator.port} is in use"):
        Emulator(emulator.port, Home(tmp_path / "other")).start()


def test_it_ends_when_its_folder_is_deleted(emulator: Emulator) -> None:
    emulator.start()
    shutil.rmtree(emulator.home.path)
    wait_until(lambda: not emulator.answers())


def test_it_ends_when_its_last_user_is_killed(emulator: Emulator, tmp_path: Path) -> None:
    users = tmp_path / "users.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_LOCK, str(users)], stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        user.stdout.readline()
        emulator.start(ends_with=users)
        assert emulator.answers()
        user.kill()
    wait_until(lambda: emulator.running() is None)
    wait_until(lambda: not emulator.home.temporary.exists())
