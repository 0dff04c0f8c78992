import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kernel.observability import count, logger, mask, traced


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("mail to ada.lovelace@example.com failed", "ada.lovelace"),
        ("mail to ada@sub.example.co.uk", "example"),
        ("sk_live_0123456789abcdef", "0123456789abcdef"),
        ("X-API-Key: sk_test_0123456789abcdef", "0123456789abcdef"),
        ("rt_0123456789abcdef0123", "0123456789abcdef0123"),
        ("https://mailroom.example/verify?token=lnk_abcdefghijkl", "abcdefghijkl"),
        ("whsec_abcdefghijklmnop", "abcdefghijklmnop"),
        ("Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "eyJzdWIiOi"),
        ("card 4242424242424242 was declined", "4242424242424242"),
        ("card 4242 4242 4242 4242 was declined", "4242 4242"),
        ("card 4242-4242-4242-4242", "4242-4242"),
        ("SSN 123-45-6789", "123-45"),
    ],
)
def test_what_is_personal_or_secret_is_masked(text: str, secret: str) -> None:
    assert secret not in mask(text)
    assert mask(text) != text


@pytest.mark.parametrize(
    "text",
    [
        "tnt_01jd3v8m5ke5c8qv0m5w6r3x2y",
        "2026-11-20T11:15:00.123456+00:00",
        "2026-11-20 11:15:00",
        "arn:aws:lambda:us-east-1:123456789012:function:mailroom",
        '{"amount": 1250, "currency": "USD"}',
    ],
)
def test_what_operators_need_stays(text: str) -> None:
    assert mask(text) == text


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logger.registered_handler
    monkeypatch.setattr(handler, "stream", stream)
    logger.setLevel("INFO")
    yield stream
    logger.setLevel("CRITICAL")


def test_every_line_is_masked_whatever_field_it_is_in(lines: io.StringIO) -> None:
    logger.append_keys(owner="ada@example.com")
    fault = RuntimeError("token eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl")
    logger.error("Failed", exc_info=fault, extra={"key": "sk_live_0123456789abcdef"})
    logger.clear_state()
    text = lines.getvalue()

    assert json.loads(text)["level"] == "ERROR"
    for secret in ("ada@example.com", "eyJzdWIiOi", "0123456789abcdef"):
        assert secret not in text


def test_metrics_have_no_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    count("MessageFailed", 2)
    [metric] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert metric["MessageFailed"] == [2.0]
    [directive] = metric["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Mailroom"
    assert directive["Dimensions"] == [["service"]]


class TestTracing:
    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"LAMBDA_TASK_ROOT": "/var/task", "MAILROOM_STAGE": "local"},
            {"LAMBDA_TASK_ROOT": "/var/task", "MAILROOM_STAGE": "staging", "AWS_SAM_LOCAL": "1"},
            {
                "LAMBDA_TASK_ROOT": "/var/task",
                "MAILROOM_STAGE": "staging",
                "POWERTOOLS_TRACE_DISABLED": "true",
            },
            {"MAILROOM_STAGE": "staging"},
        ],
    )
    def test_is_off_where_no_daemon_listens(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
    ) -> None:
        self._set(monkeypatch, environment)

        def handler(event: dict[str, Any], context: Any) -> None: ...

        assert traced(handler) is handler

    def test_is_on_in_lambda_and_leaves_the_answer_alone(self) -> None:
        program = """
import sys
from kernel.triggers import step
from pydantic import BaseModel
class Word(BaseModel):
    text: str
@step
def handler(word: Word) -> Word:
    return word
assert handler({"text": "traced"}, None) == {"text": "traced"}
from botocore.client import BaseClient
print("aws_xray_sdk" in sys.modules, hasattr(BaseClient._make_api_call, "__wrapped__"))
"""
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LAMBDA_TASK_ROOT": "/var/task",
            "MAILROOM_STAGE": "staging",
            "POWERTOOLS_SERVICE_NAME": "tests",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
        }
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.split()[-2:] == ["True", "True"]

    @staticmethod
    def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
        for name in (
            "LAMBDA_TASK_ROOT",
            "MAILROOM_STAGE",
            "AWS_SAM_LOCAL",
            "POWERTOOLS_TRACE_DISABLED",
        ):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
