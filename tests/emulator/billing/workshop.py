"""Billing's functions in processes of their own, over an emulator's DynamoDB and the sandbox.

`worker.py` forks a process for every invocation, so that one can be killed in the middle, and
several can run at once.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import requests
import stripe

from local.emulator import Emulator
from local.settings import ACCOUNT_ID, Home
from local.shared import free_port

ROOT: Final = Path(__file__).resolve().parents[3]
WORKER: Final = Path(__file__).with_name("worker.py")
TOKEN: Final = "control-token"
API_KEY: Final = "sk_test_mailroom"
PUBLISHABLE_KEY: Final = "pk_test_mailroom"
WEBHOOK_SECRET: Final = "whsec_for_tests"


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation: a result, an error's name, or nothing as it was killed."""

    result: Any
    error: str | None
    detail: str
    killed: bool
    points: list[str]


@dataclass
class Workshop:
    """The sandbox, and the worker that runs functions."""

    sandbox_url: str
    commands: IO[str]
    answers: IO[str]
    points: list[str] = field(default_factory=list)

    def invoke(self, *orders: dict[str, Any]) -> list[Outcome]:
        """Run functions, each in a process of its own, all at once."""
        self.commands.write(json.dumps(orders) + "\n")
        self.commands.flush()
        line = self.answers.readline()
        assert line, "the worker died"
        return [Outcome(**answer) for answer in json.loads(line)]

    def run(self, do: str, **arguments: Any) -> Any:
        """Run a function that nobody kills, and return its result."""
        (outcome,) = self.invoke({"do": do, "arguments": arguments})
        assert outcome.error is None, outcome
        return outcome.result

    def control(self, method: str, path: str, **options: Any) -> Any:
        """Call the sandbox's control API."""
        answer = requests.request(
            method,
            f"{self.sandbox_url}/_control{path}",
            headers={"X-Control-Token": TOKEN},
            timeout=10,
            **options,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def charges(self, customer_id: str) -> list[dict[str, Any]]:
        """Return the charges that the sandbox's log has of a customer, succeeded or not."""
        log = self.control("GET", "/log", params={"customer": customer_id, "limit": 1_000})
        found: list[dict[str, Any]] = log["charges"]
        return found

    def confirm(self, client_secret: str, method: str = "pm_card_visa") -> None:
        """Save a card at Stripe, as Stripe.js does."""
        setup_id = client_secret.partition("_secret")[0]
        answer = requests.post(
            f"{self.sandbox_url}/v1/setup_intents/{setup_id}/confirm",
            data={
                "key": PUBLISHABLE_KEY,
                "client_secret": client_secret,
                "payment_method": method,
            },
            timeout=10,
        )
        assert answer.status_code == 200, answer.text

    def stripe_events(self, event_type: str, customer_id: str) -> list[dict[str, Any]]:
        """Return Stripe's events of a type about a customer, oldest first."""
        api = stripe.StripeClient(API_KEY, base_addresses={"api": self.sandbox_url}).v1
        events = [event.to_dict() for event in api.events.list({"type": event_type}).data]
        return [
            event
            for event in reversed(events)
            if event["data"]["object"]["customer"] == customer_id
        ]


def webhook_call(event: dict[str, Any]) -> dict[str, Any]:
    """Return the Lambda URL's event of a webhook that is signed now."""
    body = json.dumps(event, default=str)
    signature = stripe.WebhookSignature.generate_signature_header(
        body, WEBHOOK_SECRET, int(time.time())
    )
    return {
        "version": "2.0",
        "rawPath": "/test",
        "headers": {"stripe-signature": signature, "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/test"}},
        "body": body,
        "isBase64Encoded": False,
    }


@contextmanager
def open_workshop(folder: Path) -> Iterator[Workshop]:
    """Start an emulator, the sandbox and the worker; end them all."""
    emulator = Emulator(free_port(), Home(folder))
    emulator.start()
    try:
        with _processes(emulator.url) as workshop:
            yield workshop
    finally:
        emulator.stop()


@contextmanager
def _processes(endpoint: str) -> Iterator[Workshop]:
    port = free_port()
    sandbox_url = f"http://127.0.0.1:{port}"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "MAILROOM_STAGE": "local",
        "MAILROOM_ACCOUNT_ID": ACCOUNT_ID,
        "MAILROOM_FUNCTION": "billing/tests",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "SANDBOX_CONTROL_TOKEN": TOKEN,
        "STRIPE_API_BASE": sandbox_url,
        "PYTHONPATH": ":".join(map(str, [ROOT, *sorted(ROOT.glob("layers/*/python"))])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with ExitStack() as stack:
        worker = stack.enter_context(
            _process([str(WORKER)], environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"  # the tables exist
        stack.enter_context(
            _process(["-m", "sandbox", "--port", str(port)], environment, stderr=subprocess.DEVNULL)
        )
        _wait_for(sandbox_url)
        yield Workshop(sandbox_url, worker.stdin, worker.stdout)


@contextmanager
def _process(
    arguments: list[str], environment: dict[str, str], **streams: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Run a Python program, and end it."""
    with subprocess.Popen(
        [sys.executable, *arguments], env=environment, cwd=ROOT, text=True, **streams
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            requests.get(url, timeout=1)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        else:
            return
