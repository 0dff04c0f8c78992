"""The tour holds, and it fails loudly when the provider misbehaves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.seed import CONTROL_TOKEN
from local.system import System

pytestmark = pytest.mark.xdist_group("emulator")

HEADERS = {"X-Control-Token": CONTROL_TOKEN}


def tell_tour(places: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MAILROOM_PLACES": str(places)}
    return subprocess.run(
        [sys.executable, "-m", "local.tour"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def fault(deployed: System, request: pytest.FixtureRequest) -> Iterator[None]:
    """One fault of the sandbox, until the test is over."""
    url = f"{deployed.sandbox_url}/_control/faults"
    body = {"kind": request.param, "times": "always", "provider": "stripe"}
    armed = requests.post(url, json=body, headers=HEADERS, timeout=30)
    assert armed.ok, armed.text
    yield
    assert requests.delete(url, headers=HEADERS, timeout=30).ok


def test_the_story_holds(places: Path) -> None:
    told = tell_tour(places)
    assert told.returncode == 0, told.stdout[-3_000:] + told.stderr
    assert "The story holds" in told.stdout


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("wrong_amount", "the clock failed"),
        ("double_charge", "attempts at the provider"),
        ("no_webhooks", "the saved card, by the provider's webhook"),
    ],
    indirect=["fault"],
)
def test_a_broken_provider_ends_it(places: Path, fault: None, complaint: str) -> None:
    told = tell_tour(places)
    assert told.returncode == 1, told.stdout[-3_000:]
    assert complaint in told.stderr, told.stderr
