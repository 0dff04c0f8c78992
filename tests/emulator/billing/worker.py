"""A process that forks another for each invocation, and can kill it after its n-th call.

Lines of JSON come in, each a list of orders that run at once:
`{"do": "charge_invoice", "arguments": {…}, "kill_after": 3}`. Calls to AWS and to Stripe are
counted when they have returned; the process ends right there, as a Lambda does that is frozen for
ever, times out or runs out of memory.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import stripe
from botocore.client import BaseClient

from billing import payment_methods, stripe_client, tables
from billing import tables as billing_tables
from billing.models import PayInvoice
from billing.stripe_objects import moment
from billing.tables import (
    InvoiceRecord,
    LedgerEntryRecord,
    PaymentMethodRecord,
    SubscriptionRecord,
)
from functions.billing import (
    announce_trial_end,
    charge_invoice,
    create_setup_intent,
    end_dunning,
    finalise_first_invoice,
    pay_invoice,
    process_stripe_webhook,
    receive_stripe_webhook,
    start_subscription,
)
from kernel import aws, clock
from kernel import tables as kernel_tables
from kernel.ids import new_id
from kernel.principals import Caller, IdempotencyKey, System
from kernel.settings import resource_name
from kernel.tables import GateRecord, JournalRecord
from sandbox import storage

KILLED = 137


def caller(tenant_id: str, key: str | None) -> Caller:
    idempotency = IdempotencyKey(key, "POST /route", "hash") if key else None
    return Caller(tenant_id=tenant_id, user_id=new_id("usr"), role="owner", idempotency=idempotency)


def create_card(tenant_id: str, key: str) -> dict[str, Any]:
    shown = create_setup_intent.handler.function(caller(tenant_id, key))
    result: dict[str, Any] = shown.model_dump(mode="json")
    return result


def pay(tenant_id: str, invoice_id: str, key: str | None = None) -> str:
    shown = pay_invoice.handler.function(caller(tenant_id, key), invoice_id, PayInvoice())
    return str(shown.status)


def open_gate(tenant_id: str) -> None:
    gate = {"status": "active", "limit_user_minute": 100, "limit_tenant_minute": 1_000}
    GateRecord.for_tenant(tenant_id, **gate).save()


def give_card(tenant_id: str) -> None:
    account = tables.find_account(tenant_id)
    assert account is not None
    made = stripe_client.client("test").payment_methods.attach(
        "pm_card_visa", {"customer": account.stripe_customer_id}
    )
    created_at = moment(made.created)
    card: Any = made.card
    record = PaymentMethodRecord(
        tenant_id,
        PaymentMethodRecord.id_of(made.id, created_at),
        stripe_payment_method_id=made.id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        created_at=created_at,
    )
    payment_methods.save(tenant_id, record, System(name="billing/tests"))


def state(tenant_id: str) -> dict[str, Any]:
    """Return what billing knows of a tenant."""
    account = tables.find_account(tenant_id)
    every = tables.all_of
    return {
        "customer": account.stripe_customer_id if account else None,
        "open_invoices": sorted((account.open_invoices if account else None) or ()),
        "subscriptions": [
            {"id": item.sk, "status": item.status}
            for item in every(SubscriptionRecord, tenant_id, tables.SUBSCRIPTIONS)
        ],
        "invoices": [
            {"id": item.sk, "status": item.status}
            for item in every(InvoiceRecord, tenant_id, tables.INVOICES)
        ],
        "cards": [
            item.sk for item in every(PaymentMethodRecord, tenant_id, tables.PAYMENT_METHODS)
        ],
        "attempts": [item.name for item in every(tables.AttemptRecord, tenant_id, "ATTEMPT#")],
        "ledger": [
            [item.type, int(item.amount)]
            for item in every(LedgerEntryRecord, tenant_id, tables.LEDGER_ENTRIES)
        ],
    }


def facts(tenant_id: str) -> list[dict[str, Any]]:
    """Return the events of a tenant, oldest first, as the bus has them."""
    partition = JournalRecord.partition(tenant_id, clock.wall())
    records = JournalRecord.query(partition, consistent_read=True)
    return [
        {"detail-type": record.event_type, "detail": json.loads(record.event)}
        for record in records
        if record.event
    ]


HANDLERS: dict[str, Any] = {
    "announce_trial_end": announce_trial_end,
    "charge_invoice": charge_invoice,
    "end_dunning": end_dunning,
    "finalise_first_invoice": finalise_first_invoice,
    "process_stripe_webhook": process_stripe_webhook,
    "receive_stripe_webhook": receive_stripe_webhook,
    "start_subscription": start_subscription,
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    "create_setup_intent": create_card,
    "facts": facts,
    "give_card": give_card,
    "open_gate": open_gate,
    "pay_invoice": pay,
    "state": state,
}


def execute(order: dict[str, Any]) -> Any:
    if module := HANDLERS.get(order["do"]):
        return module.handler(order["arguments"]["event"], None)
    return OPERATIONS[order["do"]](**order["arguments"])


def child(order: dict[str, Any], answer: int) -> None:
    """Run an order and write what came of it; never returns."""
    points: list[str] = []

    def tell(**outcome: Any) -> None:
        document = {"result": None, "error": None, "detail": "", "killed": False, "points": points}
        os.write(answer, json.dumps(document | outcome).encode())

    def count(what: str) -> None:
        points.append(f"{order['do']}: {what}")
        if len(points) == order.get("kill_after"):
            tell(killed=True)
            os._exit(KILLED)

    aws_client: Any = BaseClient
    stripe_transport: Any = stripe.RequestsClient
    call_aws, call_stripe = aws_client._make_api_call, stripe_transport.request

    def counted_aws(client: Any, operation: str, arguments: Any) -> Any:
        result = call_aws(client, operation, arguments)
        count(f"{client.meta.service_model.service_name} {operation}")
        return result

    def counted_stripe(client: Any, method: str, url: str, *rest: Any, **options: Any) -> Any:
        result = call_stripe(client, method, url, *rest, **options)
        path = re.sub(r"/[a-z]+_\w{10,}", "/{id}", "/" + url.split("/", 3)[3].partition("?")[0])
        count(f"stripe {method.upper()} {path}")
        return result

    aws_client._make_api_call = counted_aws
    stripe_transport.request = counted_stripe
    try:
        if order.get("kill_after") == 0:
            tell(killed=True)
            os._exit(KILLED)
        tell(result=execute(order))
    except Exception as error:  # noqa: BLE001 - it is told to whoever ordered
        tell(error=type(error).__name__, detail="".join(traceback.format_exception(error)))
    os._exit(0)


def run(orders: list[dict[str, Any]]) -> list[Any]:
    """Fork a process for each order and gather what they tell."""
    pipes = []
    for order in orders:
        reading, writing = os.pipe()
        if os.fork() == 0:
            child(order, writing)
        os.close(writing)
        pipes.append(reading)
    answers = []
    for reading in pipes:
        with os.fdopen(reading) as pipe:
            answers.append(json.loads(pipe.read()))
    for _ in pipes:
        os.wait()
    return answers


def prepare() -> None:
    """Make tables, keys and the state machine."""
    for module in (kernel_tables, billing_tables, storage):
        for model in module.ALL:
            model.create_table(billing_mode="PAY_PER_REQUEST", wait=True)
    for mode in stripe_client.MODES:
        keys = {
            "api_key": "sk_test_mailroom",
            "publishable_key": "pk_test_mailroom",
            "webhook_secret": "whsec_for_tests",
        }
        aws.client("secretsmanager").create_secret(
            Name=f"mailroom/local/stripe/{mode}", SecretString=json.dumps(keys)
        )
    service = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [service | {"Action": "sts:AssumeRole"}]}
    role = aws.client("iam").create_role(
        RoleName="flow", AssumeRolePolicyDocument=json.dumps(trust)
    )
    flow = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    aws.client("stepfunctions").create_state_machine(
        name=resource_name("billing-trial_conversion"),
        definition=json.dumps(flow),
        roleArn=role["Role"]["Arn"],
    )


def warm_up() -> None:
    """Make the clients that children inherit; none may have a connection yet."""
    for service in ("dynamodb", "secretsmanager", "stepfunctions"):
        aws.client(service)
    aws.client("dynamodb", single_attempt=True)
    for record in (tables.BillingTable, GateRecord, JournalRecord):
        assert record._get_connection().connection.client is not None


def main() -> None:
    if os.fork() == 0:
        prepare()
        os._exit(0)
    assert os.wait()[1] == 0
    warm_up()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
