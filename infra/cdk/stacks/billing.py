"""The stacks of billing: plans, invoices, payments."""

from typing import Final

from aws_cdk import App

from billing import tables
from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.data import DataStack
from infra.cdk.constructs.function import Function
from infra.cdk.constructs.resources import GATE, Secret, Table
from infra.cdk.stage import Stage

TABLE: Final = Table("billing", context="billing")

_CHARGING: Final = ("BatchGetItem", "GetItem", "PutItem", "UpdateItem")
"""What an attempt to charge takes, to the settlement of its invoice."""

_LONGEST_REQUEST_SECONDS: Final = 29


class BillingData(DataStack):
    """The context's table, Stripe secrets and key."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "billing", "data")
        self.add_context_key()
        for model in tables.ALL:
            self.table(model)
        self.secret("stripe/test", "Stripe: API key and webhook secret of test mode")
        self.secret("stripe/live", "Stripe: API key and webhook secret of live mode")


class BillingApi(ContextStack):
    """Endpoints and webhooks."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "billing", "api")
        self.function("list_plans")
        self._add_subscriptions()
        self._add_payment_methods()
        self._add_invoices()
        webhook = self.function("receive_stripe_webhook", groups=["stripe"])
        _keys(webhook).writes_facts().allow(TABLE, "PutItem")

    def _add_subscriptions(self) -> None:
        self.function("list_subscriptions").allow(TABLE, "Query")
        self.function("get_subscription").allow(TABLE, "GetItem")
        self.function("get_usage").reads_clock().allow(TABLE, "Query")

    def _add_payment_methods(self) -> None:
        self.function("list_payment_methods").allow(TABLE, "GetItem", "Query")
        self.function("get_payment_method").allow(TABLE, "BatchGetItem")
        self.function("update_payment_method").writes_facts().allow(
            TABLE, "BatchGetItem", "ConditionCheckItem", "UpdateItem"
        )
        _stripe(self, "delete_payment_method").writes_facts().reads_clock().allow(
            TABLE, "ConditionCheckItem", "DeleteItem", "GetItem", "Query", "UpdateItem"
        )
        _stripe(self, "create_setup_intent").answers_repeats().reads_clock().allow(
            TABLE, "GetItem", "PutItem"
        )

    def _add_invoices(self) -> None:
        self.function("list_invoices").allow(TABLE, "Query")
        self.function("get_invoice").allow(TABLE, "GetItem")
        self.function("list_ledger_entries").allow(TABLE, "Query")
        _stripe(self, "pay_invoice").writes_facts().answers_repeats().reads_clock().allow(
            TABLE, *_CHARGING
        )


class BillingFlows(ContextStack):
    """Steps, subscribers, schedules and state machines."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "billing", "flows")
        _stripe(self, "start_subscription").writes_facts().starts_flows(
            "billing/trial_conversion"
        ).allow(TABLE, "BatchGetItem", "PutItem")
        _stripe(self, "process_stripe_webhook").writes_facts().reads_clock().allow(
            TABLE, *_CHARGING, "ConditionCheckItem", "DeleteItem", "Query"
        )
        self.function("end_dunning").signals()
        self.function("announce_trial_end").writes_facts().reads_clock().allow(
            TABLE, "BatchGetItem", "PutItem"
        )
        self.function("finalise_first_invoice").writes_facts().reads_clock().allow(
            TABLE, "ConditionCheckItem", "GetItem", "PutItem", "UpdateItem"
        )
        _stripe(self, "charge_invoice").writes_facts().reads_clock().allow(TABLE, *_CHARGING).allow(
            GATE, "GetItem"
        )
        self.state_machine("trial_conversion")


def _stripe(stack: ContextStack, file: str) -> Function:
    """Add a function that calls Stripe, or the sandbox where the stage has one.

    A call may take 8 seconds twice; endpoints have what API Gateway allows, steps a minute.
    """
    endpoint = isinstance(stack, BillingApi)
    function = stack.function(
        file,
        groups=["stripe"],
        environment={"STRIPE_API_BASE": stack.sandbox_url} if stack.sandbox_url else {},
        timeout_seconds=_LONGEST_REQUEST_SECONDS if endpoint else None,
    )
    return _keys(function)


def _keys(function: Function) -> Function:
    """Let a function read Stripe's keys of both modes; the tenant decides which it uses."""
    for mode in ("test", "live"):
        function.allow(Secret(f"stripe/{mode}", "billing"), "GetSecretValue")
    return function
