"""The fake against the real SDK: parameters, fields of objects, types of events."""

import inspect
import json
import typing

import pytest
import stripe
import stripe.events
import stripe.params

from sandbox.fake_stripe import derive_params
from sandbox.fake_stripe.routes import OPERATIONS


def test_params_are_those_of_the_installed_sdk():
    """Fails when `stripe` is upgraded: run `python -m sandbox.fake_stripe.derive_params`."""
    assert json.loads(derive_params.TARGET.read_text()) == derive_params.derive()
    assert derive_params.TARGET.read_text() == derive_params.render(derive_params.derive())


def test_every_operation_has_its_params_and_acts_only_on_them():
    content = json.loads(derive_params.TARGET.read_text())
    assert {operation.name for operation in OPERATIONS} == set(content["operations"])
    for operation in OPERATIONS:
        definition = content["definitions"][content["operations"][operation.name]]
        assert operation.acts_on <= set(definition["properties"]), operation.name


def fields(cls):
    """The fields that the SDK's class types, and those that are always there."""
    hints = {
        name: hint
        for each in cls.__mro__
        if issubclass(each, stripe.StripeObject)
        for name, hint in inspect.get_annotations(each).items()
        if not name.startswith("_") and name.islower()
    }
    optional = {name for name, hint in hints.items() if type(None) in typing.get_args(hint)}
    return set(hints), set(hints) - optional


@pytest.fixture
def everything(api, customer, save_card, pay):
    """One object of each type."""
    method = save_card()
    intent = pay(method.id, expand=["latest_charge.balance_transaction"])
    setup = api.v1.setup_intents.create(
        params={
            "customer": customer.id,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "allowed_payment_method_types": ["card"],
            "expand": ["latest_attempt"],
        }
    )
    return {
        stripe.Customer: customer,
        stripe.PaymentMethod: method,
        stripe.PaymentIntent: intent,
        stripe.SetupIntent: setup,
        stripe.SetupAttempt: setup.latest_attempt,
        stripe.Charge: intent.latest_charge,
        stripe.BalanceTransaction: intent.latest_charge.balance_transaction,
        stripe.Refund: api.v1.refunds.create(params={"payment_intent": intent.id}),
        stripe.Event: api.v1.events.list().data[0],
    }


def test_objects_have_the_fields_of_the_sdks_types(everything):
    for cls, made in everything.items():
        assert type(made) is cls
        known, always = fields(cls)
        present = set(made.to_dict())
        assert present <= known, f"{cls.__name__} has invented fields"
        assert always <= present, f"{cls.__name__} lacks fields"


def test_events_are_of_types_that_stripe_has(api, everything):
    known = set(typing.get_args(stripe.Event.__annotations__["type"])) or set(
        inspect.getsource(stripe.Event).split('"')
    )
    for event in api.v1.events.list(params={"limit": 100}).auto_paging_iter():
        assert event.type in known
