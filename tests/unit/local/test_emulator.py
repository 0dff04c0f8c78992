import fcntl
import json
import socket
from pathlib import Path

import pytest

from local.emulator import Emulator
from local.errors import LocalError
from local.settings import Home
from local.watch import unused


def test_port_in_use_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} is in use.*MAILROOM_PORT={port + 1}"):
            Emulator(port, Home(tmp_path)).start()


def test_functions_see_nothing_of_the_developers_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "real")
    monkeypatch.setenv("PYTHONPATH", "layers/kernel/python")
    seen = Emulator(4600, Home(tmp_path)).environment()
    assert "real" not in seen.values()
    assert not {"AWS_PROFILE", "STRIPE_SECRET_KEY", "PYTHONPATH"} & seen.keys()


def test_iam_is_enforced_unless_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILROOM_IAM", raising=False)
    assert Emulator(4600, Home(tmp_path)).environment()["AUTH"] == "true"
    monkeypatch.setenv("MAILROOM_IAM", "off")
    assert Emulator(4600, Home(tmp_path)).environment()["AUTH"] == "false"


def test_state_is_kept_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILROOM_PERSIST", raising=False)
    assert "PERSIST_STATE" not in Emulator(4600, Home(tmp_path)).environment()
    monkeypatch.setenv("MAILROOM_PERSIST", "1")
    assert Emulator(4600, Home(tmp_path)).environment()["PERSIST_STATE"] == "1"


def test_a_stale_record_is_no_running_emulator(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.lock.touch()
    home.record.write_text(json.dumps({"pid": 1, "port": 4600}))
    assert Emulator(4600, home).running() is None


def test_another_port_than_the_running_one_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.record.write_text(json.dumps({"pid": 1, "port": 4600}))
    with home.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LocalError, match="already runs on port 4600: run `make down`"):
            Emulator(4601, home).start()


def test_a_lock_is_unused_once_its_last_holder_let_go(tmp_path: Path) -> None:
    users = tmp_path / "users.lock"
    with users.open("a") as one, users.open("a") as other:
        fcntl.flock(one, fcntl.LOCK_SH)
        fcntl.flock(other, fcntl.LOCK_SH)
        fcntl.flock(one, fcntl.LOCK_UN)
        assert not unused(users)
        fcntl.flock(other, fcntl.LOCK_UN)
        assert unused(users)
