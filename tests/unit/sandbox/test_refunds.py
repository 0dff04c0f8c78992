"""Refunds: whole, in parts, and the two asynchronous courses."""

import pytest
import stripe


@pytest.fixture
def paid(pay):
    return pay("pm_card_visa")


def test_whole(api, paid):
    refund = api.v1.refunds.create(
        params={
            "payment_intent": paid.id,
            "reason": "requested_by_customer",
            "metadata": {"invoice_id": "inv_7"},
            "expand": ["charge"],
        }
    )
    assert (refund.status, refund.amount, refund.reason) == (
        "succeeded",
        1000,
        "requested_by_customer",
    )
    assert (refund.charge.refunded, refund.charge.amount_refunded) == (True, 1000)
    assert api.v1.refunds.retrieve(refund.id).metadata["invoice_id"] == "inv_7"
    types = [event.type for event in api.v1.events.list(params={"limit": 2}).data]
    assert types == ["charge.refunded", "refund.created"]
    assert api.v1.balance_transactions.retrieve(refund.balance_transaction).amount == -1000


def test_in_parts(api, paid):
    first = api.v1.refunds.create(params={"charge": paid.latest_charge, "amount": 400})
    charge = api.v1.charges.retrieve(paid.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (400, False)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        api.v1.refunds.create(params={"charge": charge.id, "amount": 601})
    second = api.v1.refunds.create(params={"charge": charge.id})
    assert second.amount == 600
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        api.v1.refunds.create(params={"payment_intent": paid.id})
    assert refusal.value.code == "charge_already_refunded"
    listed = api.v1.refunds.list(params={"payment_intent": paid.id})
    assert [each.id for each in listed.data] == [second.id, first.id]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"payment_intent": "pi_unknown"},
        {"charge": "ch_unknown"},
        {"payment_intent": "pi_1", "charge": "ch_1"},
        {"payment_intent": "pi_1", "reason": "changed_my_mind"},
    ],
)
def test_refusals(api, params):
    with pytest.raises(stripe.InvalidRequestError):
        api.v1.refunds.create(params=params)


@pytest.mark.parametrize("amount", [0, -1])
def test_not_of_nothing(api, paid, amount):
    with pytest.raises(stripe.InvalidRequestError, match="greater than or equal to 1"):
        api.v1.refunds.create(params={"payment_intent": paid.id, "amount": amount})


def test_only_of_what_was_paid(api, pay):
    held = pay("pm_card_visa", capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        api.v1.refunds.create(params={"payment_intent": held.id})
    with pytest.raises(stripe.InvalidRequestError, match="no captured amount"):
        api.v1.refunds.create(params={"charge": held.latest_charge})


def test_one_that_takes_time(api, pay):
    paid = pay("pm_card_pendingRefund")
    refund = api.v1.refunds.create(params={"payment_intent": paid.id})
    assert refund.status == "pending"
    events = api.v1.events.list(params={"type": "refund.*"}).data
    assert [(event.type, event.data.object["status"]) for event in events] == [
        ("refund.updated", "succeeded"),
        ("refund.created", "pending"),
    ]
    assert api.v1.refunds.retrieve(refund.id).status == "succeeded"


def test_one_that_comes_back(api, pay):
    paid = pay("pm_card_refundFail")
    refund = api.v1.refunds.create(params={"payment_intent": paid.id})
    assert refund.status == "succeeded"
    event = api.v1.events.list(params={"type": "refund.failed"}).data[0]
    assert event.data.object["failure_reason"] == "expired_or_canceled_card"
    assert api.v1.refunds.retrieve(refund.id).status == "failed"
    charge = api.v1.charges.retrieve(paid.latest_charge)
    assert (charge.refunded, charge.amount_refunded) == (False, 0)


def test_update(api, paid):
    refund = api.v1.refunds.create(params={"payment_intent": paid.id})
    updated = api.v1.refunds.update(refund.id, params={"metadata": {"note": "x"}})
    assert updated.metadata["note"] == "x"
