"""A company with a card, Stripe's sandbox behind a socket, and the events on their way."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from typing import Any, Final

import requests
from botocore.client import BaseClient
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, LocalDevServer

from billing import payment_methods, stripe_client, tables
from billing.stripe_objects import moment
from billing.tables import (
    AccountRecord,
    AttemptRecord,
    InvoiceRecord,
    PaymentMethodRecord,
    SubscriptionRecord,
)
from contracts.events import REGISTRY, Event
from contracts.identity import TenantRegistered
from functions.billing import (
    charge_invoice,
    create_setup_intent,
    end_dunning,
    finalise_first_invoice,
    process_stripe_webhook,
    receive_stripe_webhook,
    start_subscription,
)
from kernel.ids import is_test_tenant, new_id
from kernel.principals import Caller, IdempotencyKey, System
from kernel.tables import ClockRecord, GateRecord, JournalRecord, find
from sandbox import delivery, entry, oracle, webhooks
from sandbox.faults import add as add_fault
from sandbox.faults import clear as clear_faults
from sandbox.providers import Message
from tests.callers import make_caller, make_tenant
from tests.doubles import bus_event, sqs_event

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEBHOOK_SECRETS: Final = {"test": "whsec_for_tests", "live": "whsec_for_live"}
API_KEY: Final = "sk_test_mailroom"
PUBLISHABLE_KEY: Final = "pk_test_mailroom"
EMAIL: Final = "owner@acme.example"

SUBSCRIBERS: Final[dict[str, Any]] = {
    "identity.tenant_registered": start_subscription.handler,
    "billing.stripe_webhook_received": process_stripe_webhook.handler,
    "billing.invoice_paid": end_dunning.handler,
}


class _Handler(ChaliceRequestHandler):
    protocol_version = "HTTP/1.0"  # a connection a request, as the server takes them in turn
    wbufsize = -1

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextmanager
def served_sandbox() -> Iterator[str]:
    """Serve the sandbox on a free port of this machine and yield its address."""
    local = LocalDevServer(
        entry.api, Config.create(), "127.0.0.1", 0, handler_cls=_Handler, server_cls=HTTPServer
    )
    server = local.server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def invoke(handler: Any, event: Event) -> None:
    """Hand an event to a subscriber, as its queue does; it must not fail."""
    answer = handler(sqs_event(bus_event(event)), None)
    assert answer == {"batchItemFailures": []}, answer


def url_event(connection_id: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Return the event of a call on a Lambda URL, the body in base64 as it comes at times."""
    return {
        "version": "2.0",
        "rawPath": f"/{connection_id}",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {"http": {"method": "POST", "path": f"/{connection_id}"}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


@dataclass
class Post:
    """Stripe's webhooks on their way to us."""

    tasks: list[webhooks.Task] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def send(self, url: str, message: Message) -> int:
        """Call the webhook's handler, as its Lambda URL does."""
        connection_id = url.rpartition("/")[2]
        body = message.body if isinstance(message.body, bytes) else message.body.encode()
        answer = receive_stripe_webhook.handler(
            url_event(connection_id, body, dict(message.headers)), None
        )
        self.statuses.append(answer["statusCode"])
        return self.statuses[-1]

    def deliver(self) -> None:
        """Deliver what waits."""
        waiting, self.tasks[:] = list(self.tasks), []
        delivery.deliver(waiting)


@dataclass
class World:
    """Everything around billing: the sandbox, the events, the tenants' clocks."""

    url: str
    post: Post
    published: set[str] = field(default_factory=set)

    def events(self, *wanted: type[Event]) -> list[Any]:
        """Return the events of the journal, oldest first."""
        records = sorted(JournalRecord.scan(), key=lambda record: record.sk)
        facts = [record for record in records if getattr(record, "event", None)]
        found = [REGISTRY[fact.event_type].model_validate_json(fact.event) for fact in facts]
        return [event for event in found if not wanted or isinstance(event, wanted)]

    def audit(self, action: str) -> list[dict[str, Any]]:
        """Return the audit entries of an action."""
        facts = [record for record in JournalRecord.scan() if hasattr(record, "audit")]
        return [fact.audit for fact in facts if fact.audit["action"] == action]

    def publish(self) -> None:
        """Hand events to billing's subscribers until no new ones come."""
        while new := [event for event in self.events() if event.id not in self.published]:
            for event in new:
                self.published.add(event.id)
                if handler := SUBSCRIBERS.get(event.type):
                    invoke(handler, event)

    def deliver(self) -> None:
        """Deliver Stripe's webhooks and publish what follows."""
        self.post.deliver()
        self.publish()

    def charges(self) -> list[dict[str, Any]]:
        """Return the charges that succeeded, by the sandbox's log."""
        made = oracle.charges(oracle.read(oracle.Filter(), 1_000))
        return [charge for charge in made if charge["status"] == "succeeded"]

    def requests(self, method: str = "POST", path: str = "/v1/payment_intents") -> list[Any]:
        """Return the requests in the sandbox's log."""
        return oracle.read(oracle.Filter(method=method, path=path), 1_000)

    def fault(self, kind: str, **options: Any) -> None:
        """Make the sandbox misbehave."""
        add_fault({"kind": kind, **options})

    def fault_ends(self) -> None:
        """Disarm all faults."""
        clear_faults()

    def company(self, plan: str = "inbox_starter", mode: str = "test") -> "Company":
        """Register a company."""
        tenant_id = make_tenant(mode)
        company = Company(self, tenant_id)
        company.set_clock(NOON)
        invoke(start_subscription.handler, company.registration(plan))
        self.publish()
        return company


@dataclass
class Company:
    """A tenant, its owner and what billing knows of it."""

    world: World
    tenant_id: str

    def registration(self, plan: str) -> TenantRegistered:
        return TenantRegistered(
            tenant_id=self.tenant_id,
            occurred_at=NOON,
            subject=self.tenant_id,
            company_name="Acme",
            plan=plan,
            mode="test" if is_test_tenant(self.tenant_id) else "live",
            owner_id=new_id("usr"),
            owner_email=EMAIL,
        )

    def set_clock(self, now: datetime) -> None:
        """Set the test clock."""
        clock = ClockRecord.for_tenant(self.tenant_id)
        clock.update(actions=[ClockRecord.now.set(now)])

    def caller(self, key: str | None = None, body: str = "hash") -> Caller:
        """Return the owner; `key` is the Idempotency-Key that was sent."""
        idempotency = IdempotencyKey(key, "POST /route", body) if key else None
        return make_caller(self.tenant_id, idempotency=idempotency)

    def give_card(self, method: str = "pm_card_visa") -> PaymentMethodRecord:
        """Attach a card at Stripe and save it here, without the ways between."""
        made = stripe_client.client("test").payment_methods.attach(
            method, {"customer": self.account.stripe_customer_id}
        )
        assert made.card is not None
        created_at = moment(made.created)
        record = PaymentMethodRecord(
            self.tenant_id,
            PaymentMethodRecord.id_of(made.id, created_at),
            stripe_payment_method_id=made.id,
            brand=made.card.brand,
            last4=made.card.last4,
            exp_month=made.card.exp_month,
            exp_year=made.card.exp_year,
            created_at=created_at,
        )
        assert payment_methods.save(self.tenant_id, record, System(name="billing/tests"))
        return record

    def save_card(self, method: str = "pm_card_visa") -> PaymentMethodRecord:
        """Save a card as Stripe.js does."""
        before = {card.sk for card in self.cards}
        self.begin_card(method)
        self.world.deliver()
        (new,) = [card for card in self.cards if card.sk not in before]
        return new

    def begin_card(self, method: str = "pm_card_visa") -> None:
        """Save a card at Stripe; its webhook is still on the way."""
        intent = create_setup_intent.handler.function(self.caller())
        setup_id = str(intent.client_secret).partition("_secret")[0]
        answer = requests.post(
            f"{self.world.url}/v1/setup_intents/{setup_id}/confirm",
            data={
                "key": PUBLISHABLE_KEY,
                "client_secret": intent.client_secret,
                "payment_method": method,
            },
            timeout=5,
        )
        assert answer.status_code == 200, answer.text

    @property
    def account(self) -> AccountRecord:
        found = tables.find_account(self.tenant_id)
        assert found is not None
        return found

    @property
    def cards(self) -> list[PaymentMethodRecord]:
        return tables.all_of(PaymentMethodRecord, self.tenant_id, tables.PAYMENT_METHODS)

    @property
    def subscription(self) -> SubscriptionRecord:
        (found,) = tables.all_of(SubscriptionRecord, self.tenant_id, tables.SUBSCRIPTIONS)
        return found

    @property
    def invoice(self) -> InvoiceRecord:
        (found,) = tables.all_of(InvoiceRecord, self.tenant_id, tables.INVOICES)
        return found

    def attempt(self, name: str) -> AttemptRecord | None:
        return find(AttemptRecord, self.tenant_id, AttemptRecord.sort_key(self.invoice.sk, name))

    def finalise(self) -> InvoiceRecord:
        """End the trial: create the first invoice."""
        self.set_clock(NOON + timedelta(days=7))
        subscription = self.subscription
        answer = finalise_first_invoice.handler(
            {"tenant_id": self.tenant_id, "subscription_id": subscription.sk}, None
        )
        assert answer["outcome"] == "finalised"
        return self.invoice

    def charge(self, attempt: int = 1) -> dict[str, Any]:
        """Make a scheduled attempt."""
        answer: dict[str, Any] = charge_invoice.handler(
            {"tenant_id": self.tenant_id, "invoice_id": self.invoice.sk, "attempt": attempt}, None
        )
        return answer

    def suspend(self, reason: str) -> None:
        """Close the gate."""
        record = find(GateRecord, self.tenant_id, "GATE")
        assert record is not None
        record.update(actions=[GateRecord.status.set(reason)])


class Calls:
    """The DynamoDB operations that our side called; the sandbox's own are left out."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def take(self) -> list[str]:
        """Return the names since the last call."""
        taken, self.names = self.names, []
        return taken


def counted(calls: Calls) -> Callable[..., Any]:
    original: Any = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, arguments: Any) -> Any:
        if "sandbox" not in json.dumps(arguments, default=str):
            calls.names.append(operation)
        return original(client, operation, arguments)

    return call
