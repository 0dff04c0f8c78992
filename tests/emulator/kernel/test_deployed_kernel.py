"""The kernel's own routes and background functions as they are deployed, with their own roles."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from kernel import clock, timers
from kernel.ids import new_id
from kernel.tables import TimerRecord
from local.system import System
from tests.callers import bearer, make_tenant
from tests.emulator.kernel.conftest import forget

pytestmark = pytest.mark.xdist_group("emulator")

LONGEST_SECONDS = 60


@pytest.fixture
def system(deployed: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """The deployed system, with this process' kernel pointed at it."""
    for name, value in {
        "AWS_ENDPOINT_URL": deployed.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MAILROOM_ACCOUNT_ID": "000000000000",
    }.items():
        monkeypatch.setenv(name, value)
    forget()
    yield deployed
    forget()


def call(system: System, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, f"{system.api_url}{path}", timeout=30, **options)


@pytest.mark.parametrize("path", ["/v1/health/live", "/v1/health/ready"])
def test_is_alive(system: System, path: str) -> None:
    answer = call(system, "GET", path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_describes_itself(system: System) -> None:
    document = call(system, "GET", "/openapi.json").json()
    page = call(system, "GET", "/docs")

    assert "/v1/test-clock" in document["paths"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]


def test_a_test_clock_is_moved_over_http(system: System) -> None:
    tenant_id = make_tenant("test")
    headers = bearer(tenant_id, iss=token_issuer(system))
    created = call(system, "POST", "/v1/test-clock", json={}, headers=headers)
    assert created.status_code == 201, created.text
    now = datetime.fromisoformat(created.json()["now"])
    timers.arm(tenant_id, new_id("sub"), "wait", now + timedelta(days=40), task_token="unknown")

    sent = call(system, "POST", "/v1/test-clock/advance", json={"days": 90}, headers=headers)
    assert sent.status_code == 202, sent.text
    deadline = time.monotonic() + LONGEST_SECONDS
    while (state := call(system, "GET", "/v1/test-clock", headers=headers).json())[
        "status"
    ] == "advancing":
        assert time.monotonic() < deadline, state
        time.sleep(0.2)

    assert state["status"] == "ready", state
    assert datetime.fromisoformat(state["now"]) == now + timedelta(days=90)
    assert TimerRecord.of_tenant(tenant_id) == []


def test_the_schedule_may_do_what_it_must(system: System) -> None:
    tenant_id = make_tenant("live")
    timers.arm(tenant_id, new_id("sub"), "wait", clock.wall(), task_token="unknown")
    answer = system.client("lambda").invoke(
        FunctionName="mailroom-local-kernel-fire_due_timers",
        Payload=json.dumps({"time": (clock.wall() + timedelta(minutes=1)).isoformat()}),
    )

    assert "FunctionError" not in answer, answer["Payload"].read()
    assert TimerRecord.of_tenant(tenant_id) == []


def test_facts_reach_the_archive(system: System) -> None:
    tenant_id = make_tenant("test")
    headers = bearer(tenant_id, iss=token_issuer(system))
    assert call(system, "POST", "/v1/test-clock", json={}, headers=headers).status_code == 201
    bucket = "mailroom-local-audit-000000000000"
    deadline = time.monotonic() + LONGEST_SECONDS
    while not (found := system.client("s3").list_objects_v2(Bucket=bucket, Prefix=tenant_id)).get(
        "KeyCount"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert found["Contents"][0]["Key"].endswith(".json.gz")


def token_issuer(system: System) -> str:
    """Return the issuer that the deployed functions believe."""
    config = system.client("lambda").get_function_configuration(
        FunctionName="mailroom-local-kernel-read_test_clock"
    )
    issuer: str = config["Environment"]["Variables"]["MAILROOM_TOKEN_ISSUER"]
    return issuer
