"""The flow and the tenant pay the same invoice at the same time, in processes of their own."""

from typing import Any

import pytest

from kernel.ids import new_tenant_id
from tests.emulator.billing.test_trial_crash import Story
from tests.emulator.billing.workshop import Workshop

REFUSALS = {
    "InvoiceNotPayableError",
    "RequestInFlightError",
    "StripeUnavailableError",
    "UnavailableError",
}


@pytest.fixture
def owing(workshop: Workshop) -> tuple[Story, str]:
    """A tenant with a card and an open invoice."""
    story = Story(workshop, tenant_id=new_tenant_id("test"))
    workshop.run("open_gate", tenant_id=story.tenant_id)
    story.subscribe("identity.tenant_registered", "start_subscription", story.registration())
    (subscription,) = story.state()["subscriptions"]
    workshop.run("give_card", tenant_id=story.tenant_id)
    trial = {"tenant_id": story.tenant_id, "subscription_id": subscription["id"]}
    return story, story.step("finalise_first_invoice", trial)["invoice_id"]


@pytest.mark.parametrize("slow_seconds", [0, 0.1, 0.2, 0.5, 1])
def test_many_payers_make_one_charge(
    workshop: Workshop, owing: tuple[Story, str], slow_seconds: float
) -> None:
    story, invoice_id = owing
    if slow_seconds:
        fault = {"kind": "slow", "seconds": slow_seconds, "path": "/v1/payment_intents"}
        workshop.control("POST", "/faults", json=fault | {"method": "POST"})
    step = {"tenant_id": story.tenant_id, "invoice_id": invoice_id, "attempt": 1}
    payers: list[dict[str, Any]] = [
        {"do": "charge_invoice", "arguments": {"event": step}},
        {"do": "charge_invoice", "arguments": {"event": step}},
        {
            "do": "pay_invoice",
            "arguments": {"tenant_id": story.tenant_id, "invoice_id": invoice_id},
        },
        {
            "do": "pay_invoice",
            "arguments": {"tenant_id": story.tenant_id, "invoice_id": invoice_id, "key": "once"},
        },
    ]
    outcomes = workshop.invoke(*payers)
    final = story.step("charge_invoice", step)
    state = story.state()

    assert {outcome.error for outcome in outcomes if outcome.error} <= REFUSALS
    assert final["outcome"] == "paid"
    assert [charge["status"] for charge in workshop.charges(state["customer"])] == ["succeeded"]
    assert sorted(state["ledger"]) == [["invoice", 97_00], ["payment", -97_00]]
    assert [invoice["status"] for invoice in state["invoices"]] == ["paid"]
    assert len(story.facts("billing.invoice_paid")) == 1
