"""A trial's conversion, killed after each of its calls to AWS and to Stripe.

The story is played once undisturbed, which lists its calls. Then it is played again for each of
them, and the process dies right after it; whoever called (SQS, Step Functions, Stripe, the client)
repeats what was not answered. In the end there must be one charge, one payment in the ledger, and
each fact once.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.events import PLATFORM
from kernel.ids import new_id, new_tenant_id
from tests.emulator.billing.workshop import Workshop, webhook_call

NOW = datetime.now(UTC).replace(microsecond=0)
MOST_REPETITIONS = 3


class ReplayedError(Exception):
    """The endpoint would answer with what the same request made before."""


@dataclass
class Story:
    """One play; `kill_after` counts calls over all functions, None leaves it undisturbed."""

    workshop: Workshop
    kill_after: int | None = None
    tenant_id: str = field(default_factory=lambda: new_tenant_id("test"))
    points: list[str] = field(default_factory=list)
    kills: int = 0

    def play(self) -> None:
        """Register, save a card, be declined on day 8, pay on day 10."""
        self.workshop.run("open_gate", tenant_id=self.tenant_id)
        self.subscribe("identity.tenant_registered", "start_subscription", self.registration())
        customer_id = self.state()["customer"]
        (subscription,) = self.state()["subscriptions"]
        trial = {"tenant_id": self.tenant_id, "subscription_id": subscription["id"]}
        self.workshop.confirm(self.begin_card())
        self.deliver("setup_intent.succeeded", customer_id)
        assert self.step("announce_trial_end", trial)["outcome"] == "announced"
        invoice_id = self.step("finalise_first_invoice", trial)["invoice_id"]
        fault = {"kind": "decline", "customer": customer_id}
        self.workshop.control("POST", "/faults", json=fault)
        order = {"tenant_id": self.tenant_id, "invoice_id": invoice_id}
        assert self.step("charge_invoice", order | {"attempt": 1})["outcome"] == "failed"
        assert self.step("charge_invoice", order | {"attempt": 2})["outcome"] == "paid"
        self.deliver("payment_intent.payment_failed", customer_id)
        self.deliver("payment_intent.succeeded", customer_id)
        for fact in self.facts("billing.invoice_paid"):
            self.subscribe("billing.invoice_paid", "end_dunning", fact)

    def check(self) -> None:
        """Compare what is left of the story with what must be."""
        state = self.state()
        counts = Counter(
            fact["detail-type"] for fact in self.workshop.run("facts", tenant_id=self.tenant_id)
        )

        outcomes = [charge["status"] for charge in self.workshop.charges(state["customer"])]
        assert sorted(outcomes) == ["failed", "succeeded"]
        assert [invoice["status"] for invoice in state["invoices"]] == ["paid"]
        assert [item["status"] for item in state["subscriptions"]] == ["active"]
        assert len(state["cards"]) == 1
        assert state["attempts"] == ["1", "2"]
        assert state["open_invoices"] == []
        assert sorted(state["ledger"]) == [["invoice", 97_00], ["payment", -97_00]]
        assert counts == {
            "billing.subscription_changed": 3,
            "billing.payment_method_saved": 1,
            "billing.trial_ending": 1,
            "billing.payment_failed": 1,
            "billing.invoice_paid": 1,
        }

    def begin_card(self) -> str:
        """Begin to save a card and return the secret; a replay shows none, so begin anew then."""
        for key in ("card-1", "card-2"):
            arguments = {"tenant_id": self.tenant_id, "key": key}
            with contextlib.suppress(ReplayedError):
                shown = self._repeated("create_setup_intent", lambda: arguments)  # noqa: B023
                return str(shown["client_secret"])
        raise AssertionError("no secret was shown")

    def step(self, name: str, given: dict[str, Any]) -> Any:
        """Run a step as Step Functions does."""
        return self._repeated(name, lambda: {"event": given})

    def subscribe(self, event_type: str, name: str, detail: dict[str, Any]) -> None:
        """Hand an event to a subscriber as its queue does."""
        body = json.dumps({"detail-type": event_type, "detail": detail})
        message = {"messageId": "1", "body": body, "attributes": {}}
        answer = self._repeated(name, lambda: {"event": {"Records": [message]}})
        assert answer == {"batchItemFailures": []}

    def deliver(self, event_type: str, customer_id: str) -> None:
        """Deliver a webhook, and what it leads to."""
        (event,) = self.workshop.stripe_events(event_type, customer_id)
        answer = self._repeated("receive_stripe_webhook", lambda: {"event": webhook_call(event)})
        assert answer["statusCode"] == 200, answer
        for fact in self.workshop.run("facts", tenant_id=PLATFORM):
            if fact["detail"]["subject"] == event["id"]:
                name = fact["detail-type"]
                self.subscribe(name, "process_stripe_webhook", fact["detail"])

    def facts(self, event_type: str) -> list[dict[str, Any]]:
        found = self.workshop.run("facts", tenant_id=self.tenant_id)
        return [fact["detail"] for fact in found if fact["detail-type"] == event_type]

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.workshop.run("state", tenant_id=self.tenant_id)
        return found

    def registration(self) -> dict[str, Any]:
        registered_at = NOW - timedelta(days=7)
        return {
            "id": new_id("evt"),
            "tenant_id": self.tenant_id,
            "occurred_at": registered_at.isoformat(),
            "subject": self.tenant_id,
            "company_name": "Acme",
            "plan": "inbox_starter",
            "mode": "test",
            "owner_id": new_id("usr"),
            "owner_email": "owner@acme.example",
        }

    def _repeated(self, do: str, arguments: Callable[[], dict[str, Any]]) -> Any:
        for _ in range(MOST_REPETITIONS):
            order = {"do": do, "arguments": arguments(), "kill_after": self._calls_left()}
            (outcome,) = self.workshop.invoke(order)
            self.points += outcome.points
            self.kills += outcome.killed
            if not outcome.killed and outcome.error is None:
                return outcome.result
            if outcome.error == "IdempotencyRaceError":
                raise ReplayedError
            assert outcome.killed, outcome
        raise AssertionError(f"{do} was repeated in vain")

    def _calls_left(self) -> int | None:
        if self.kill_after is None or self.kills:
            return None
        return self.kill_after - len(self.points)


@pytest.fixture(scope="module")
def undisturbed(workshop: Workshop) -> list[str]:
    """The calls of the story, in order."""
    story = Story(workshop)
    story.play()
    story.check()
    return story.points


def test_the_story_has_these_points(undisturbed: list[str]) -> None:
    for number, point in enumerate(undisturbed, start=1):
        print(f"{number:3} {point}")

    functions = {point.partition(":")[0] for point in undisturbed}
    assert functions == {
        "start_subscription",
        "create_setup_intent",
        "receive_stripe_webhook",
        "process_stripe_webhook",
        "announce_trial_end",
        "finalise_first_invoice",
        "charge_invoice",
        "end_dunning",
    }
    posts = [point for point in undisturbed if "stripe POST /v1/payment_intents" in point]
    assert len(posts) == 2
    assert len(undisturbed) > 50


def test_killed_anywhere_it_ends_with_one_charge(
    workshop: Workshop, undisturbed: list[str]
) -> None:
    for number, point in enumerate(undisturbed, start=1):
        story = Story(workshop, kill_after=number)
        story.play()
        print(f"{number:3} killed after {point}")
        assert story.kills == 1, f"not killed after {number} {point}"
        assert story.points[number - 1] == point
        try:
            story.check()
        except AssertionError as error:
            raise AssertionError(f"killed after {number} {point}: {error}") from error
