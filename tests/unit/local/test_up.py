import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local import up
from local.errors import LocalError
from local.settings import Home
from local.system import System, write_places

SYSTEM = cast(
    "System",
    SimpleNamespace(
        endpoint="http://localhost:4566",
        api_url="http://localhost:4566/_aws/execute-api/0a11b0c5",
        sandbox_url=None,
        mailbox_url="http://localhost:4566/_ministack/ses/messages",
    ),
)


def test_places_keep_what_an_earlier_seeding_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_places(SYSTEM, home, {"staff_email": "ada@example.com", "staff_password": "once"})
    write_places(SYSTEM, home, {"staff_email": "bea@example.com"})
    assert json.loads(home.places.read_text()) == {
        "staff_email": "bea@example.com",
        "staff_password": "once",
        "api": SYSTEM.api_url,
        "sandbox": "",
        "mailbox": SYSTEM.mailbox_url,
    }


def test_places_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    write_places(SYSTEM, Home(tmp_path), {})
    assert Home(tmp_path).places.stat().st_mode & 0o777 == 0o600


def test_summary_shows_what_is_there_and_what_was_told() -> None:
    lines = up.summary(SYSTEM, {"staff_email": "ada@example.com"}).splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if not line.startswith("  Mail"))
    assert shown["API"] == f"{SYSTEM.api_url}/v1"
    assert "Sandbox" not in shown
    assert any(line.split() == ["Staff", "email", "ada@example.com"] for line in lines)


@pytest.mark.parametrize("version", ["v20.0.0\n", "v24.3.1\n"])
def test_supported_node_passes(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    pretend_node(monkeypatch, version)
    up.check_tools()


def test_old_node_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_node(monkeypatch, "v18.19.0\n")
    with pytest.raises(LocalError, match=r"node v18\.19\.0 is too old: install Node\.js 20"):
        up.check_tools()


def test_missing_node_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(LocalError, match=r"node is missing.*install Node\.js 20"):
        up.check_tools()


def pretend_node(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, version, "")

    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
