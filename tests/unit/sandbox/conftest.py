"""The sandbox behind a socket, under a path prefix as API Gateway has it, driven by the SDK."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import stripe
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    CustomLocalChalice,
    LocalDevServer,
    create_local_server,
)
from moto import mock_aws

from sandbox import delivery, entry, storage, webhooks
from sandbox.fake_stripe import gateway
from sandbox.providers import Message

PREFIX = "/_aws/execute-api/0a11b0c5/local"
TOKEN = "control-token"
SECRET_KEY = "sk_test_mailroom"
PUBLISHABLE_KEY = "pk_test_mailroom"


class PrefixedHandler(ChaliceRequestHandler):
    """Strips what a REST API's address has before the path; says nothing."""

    wbufsize = -1  # an answer in one packet: else every one waits 40 ms for a delayed ACK

    def parse_request(self) -> bool:
        understood: bool = super().parse_request()
        if understood:
            self.path: str = self.path.removeprefix(PREFIX)
        return understood

    def log_request(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    plain_class: Any = entry.api.__class__
    create_local_server(entry.api, Config.create(), "127.0.0.1", 0).server.server_close()
    assert entry.api.__class__ is CustomLocalChalice  # requests in threads of their own
    server = LocalDevServer(
        entry.api, Config.create(), "127.0.0.1", 0, handler_cls=PrefixedHandler
    ).server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()
    entry.api.__class__ = plain_class


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        for model in storage.ALL:
            model.create_table()
        yield


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SANDBOX_CONTROL_TOKEN", TOKEN)
    yield
    storage.clear()


@dataclass
class Naps:
    """Records the sleeps instead of sleeping; `during` runs inside the next one."""

    seconds: list[float] = field(default_factory=list)
    during: Callable[[], None] | None = None

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        during, self.during = self.during, None
        if during:
            during()


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    recorder = Naps()
    monkeypatch.setattr(gateway, "sleep", recorder)
    return recorder


@dataclass
class Post:
    """Webhooks on their way: `tasks` were handed over, `deliver` sends them, `sent` arrived."""

    tasks: list[webhooks.Task] = field(default_factory=list)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)
    status: Callable[[Message], int] = lambda message: 200

    def deliver(self) -> list[Message]:
        """Send what waits; returns what was sent by this."""
        before = len(self.sent)
        waiting, self.tasks[:] = list(self.tasks), []
        delivery.deliver(waiting)
        return [message for _, message in self.sent[before:]]

    def types(self) -> list[str]:
        """The event types of what waits."""
        return [delivery.stored_event(task.provider, task.event_id)["type"] for task in self.tasks]


@pytest.fixture(autouse=True)
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    office = Post()

    def sender(url: str, message: Message) -> int:
        office.sent.append((url, message))
        return office.status(message)

    monkeypatch.setattr(webhooks.outbox, "dispatcher", office.tasks.extend)
    monkeypatch.setattr(delivery, "sender", sender)
    monkeypatch.setattr(delivery.clock, "sleep", office.naps.append)
    return office


@pytest.fixture(scope="session")
def api(base_url: str) -> stripe.StripeClient:
    return stripe.StripeClient(SECRET_KEY, base_addresses={"api": base_url}, max_network_retries=0)


@pytest.fixture
def browser(base_url: str) -> "Browser":
    return Browser(base_url)


@dataclass
class Browser:
    """Talks to Stripe as Stripe.js does: publishable key and client secret in the form."""

    url: str

    def confirm(self, intent: Any, **params: str) -> requests.Response:
        """Confirm a PaymentIntent or a SetupIntent."""
        return requests.post(
            f"{self.url}/v1/{intent.object}s/{intent.id}/confirm",
            data={"key": PUBLISHABLE_KEY, "client_secret": intent.client_secret, **params},
            timeout=5,
        )

    def retrieve(self, intent: Any) -> requests.Response:
        """Look an intent up."""
        return requests.get(
            f"{self.url}/v1/{intent.object}s/{intent.id}",
            params={"client_secret": intent.client_secret},
            headers={"Authorization": f"Bearer {PUBLISHABLE_KEY}"},
            timeout=5,
        )


@dataclass
class Control:
    """The control API."""

    url: str
    session: requests.Session
    token: str = TOKEN

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call it and return the response."""
        return self.session.request(
            method,
            f"{self.url}/_control{path}",
            headers={"X-Control-Token": self.token},
            timeout=5,
            **options,
        )

    def get(self, path: str, /, **params: Any) -> Any:
        """Read something."""
        response = self.call("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, /, **body: Any) -> Any:
        """Do something."""
        response = self.call("POST", path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def fault(self, kind: str, /, **options: Any) -> Any:
        """Arm a fault."""
        return self.post("/faults", kind=kind, **options)


@pytest.fixture(scope="session")
def connection() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def control(base_url: str, connection: requests.Session) -> Control:
    return Control(base_url, connection)


@pytest.fixture
def customer(api: stripe.StripeClient) -> Any:
    return api.v1.customers.create(params={"metadata": {"tenant_id": "tnt_1"}})


@pytest.fixture
def save_card(api: stripe.StripeClient, customer: Any) -> Callable[[str], Any]:
    """Attaches a test card to the customer."""

    def save(name: str = "pm_card_visa") -> Any:
        return api.v1.payment_methods.attach(name, params={"customer": customer.id})

    return save


@pytest.fixture
def pay(api: stripe.StripeClient, customer: Any) -> Callable[..., Any]:
    """Charges the customer off session, as a renewal does."""

    def charge(method: str, key: str | None = None, **params: Any) -> Any:
        renewal: Any = {
            "amount": 1000,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": method,
            "allowed_payment_method_types": ["card"],
            "off_session": True,
            "confirm": True,
        }
        return api.v1.payment_intents.create(
            params=renewal | params, options={"idempotency_key": key} if key else {}
        )

    return charge
