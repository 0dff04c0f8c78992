"""The endpoints of Stripe that the sandbox serves."""

from chalice.app import Blueprint, Response

from sandbox.fake_stripe import (
    charges,
    customers,
    gateway,
    listing,
    payment_intents,
    payment_methods,
    reading,
    refunds,
    setup_intents,
)
from sandbox.fake_stripe.gateway import Operation

_CUSTOMER = "/v1/customers/{customer_id}"
_METHOD = "/v1/payment_methods/{payment_method_id}"
_PAYMENT = "/v1/payment_intents/{payment_intent_id}"
_SETUP = "/v1/setup_intents/{setup_intent_id}"
_REFUND = "/v1/refunds/{refund_id}"
_METHOD_DATA = frozenset({"allow_redisplay", "billing_details", "card", "metadata"})


def _listed_by(*filters: str) -> frozenset[str]:
    return listing.PARAMS | frozenset(filters)


OPERATIONS = (
    Operation(
        "customer.create",
        "POST",
        "/v1/customers",
        customers.create,
        customers.PARAMS | {"payment_method"},
    ),
    Operation(
        "customer.list", "GET", "/v1/customers", customers.list_page, _listed_by("created", "email")
    ),
    Operation("customer.retrieve", "GET", _CUSTOMER, reading.by_id("customer")),
    Operation("customer.update", "POST", _CUSTOMER, customers.update, customers.PARAMS),
    Operation("customer.delete", "DELETE", _CUSTOMER, customers.delete),
    Operation(
        "customer_payment_method.list",
        "GET",
        f"{_CUSTOMER}/payment_methods",
        payment_methods.list_of_customer,
        _listed_by("type"),
    ),
    Operation(
        "customer_payment_method.retrieve",
        "GET",
        f"{_CUSTOMER}/payment_methods/{{payment_method_id}}",
        payment_methods.retrieve_of_customer,
    ),
    Operation(
        "payment_method.create",
        "POST",
        "/v1/payment_methods",
        payment_methods.create,
        _METHOD_DATA | {"type"},
        publishable=True,
    ),
    Operation(
        "payment_method.list",
        "GET",
        "/v1/payment_methods",
        payment_methods.list_page,
        _listed_by("customer", "type"),
    ),
    Operation("payment_method.retrieve", "GET", _METHOD, reading.by_id("payment_method")),
    Operation("payment_method.update", "POST", _METHOD, payment_methods.update, _METHOD_DATA),
    Operation(
        "payment_method.attach",
        "POST",
        f"{_METHOD}/attach",
        payment_methods.attach,
        frozenset({"customer"}),
    ),
    Operation("payment_method.detach", "POST", f"{_METHOD}/detach", payment_methods.detach),
    Operation(
        "setup_intent.create",
        "POST",
        "/v1/setup_intents",
        setup_intents.create,
        setup_intents.CREATE_PARAMS,
    ),
    Operation(
        "setup_intent.list",
        "GET",
        "/v1/setup_intents",
        setup_intents.list_page,
        _listed_by("created", "customer", "payment_method"),
    ),
    Operation("setup_intent.retrieve", "GET", _SETUP, setup_intents.retrieve, publishable=True),
    Operation(
        "setup_intent.update", "POST", _SETUP, setup_intents.update, setup_intents.UPDATE_PARAMS
    ),
    Operation(
        "setup_intent.confirm",
        "POST",
        f"{_SETUP}/confirm",
        setup_intents.confirm,
        setup_intents.CONFIRM_PARAMS,
        publishable=True,
    ),
    Operation(
        "setup_intent.cancel",
        "POST",
        f"{_SETUP}/cancel",
        setup_intents.cancel,
        frozenset({"cancellation_reason"}),
    ),
    Operation(
        "payment_intent.create",
        "POST",
        "/v1/payment_intents",
        payment_intents.create,
        payment_intents.CREATE_PARAMS,
    ),
    Operation(
        "payment_intent.list",
        "GET",
        "/v1/payment_intents",
        payment_intents.list_page,
        _listed_by("created", "customer"),
    ),
    Operation(
        "payment_intent.retrieve", "GET", _PAYMENT, payment_intents.retrieve, publishable=True
    ),
    Operation(
        "payment_intent.update",
        "POST",
        _PAYMENT,
        payment_intents.update,
        payment_intents.UPDATE_PARAMS,
    ),
    Operation(
        "payment_intent.confirm",
        "POST",
        f"{_PAYMENT}/confirm",
        payment_intents.confirm,
        payment_intents.CONFIRM_PARAMS,
        publishable=True,
    ),
    Operation(
        "payment_intent.capture",
        "POST",
        f"{_PAYMENT}/capture",
        payment_intents.capture,
        payment_intents.CAPTURE_PARAMS,
    ),
    Operation(
        "payment_intent.cancel",
        "POST",
        f"{_PAYMENT}/cancel",
        payment_intents.cancel,
        frozenset({"cancellation_reason"}),
    ),
    Operation("refund.create", "POST", "/v1/refunds", refunds.create, refunds.CREATE_PARAMS),
    Operation(
        "refund.list",
        "GET",
        "/v1/refunds",
        refunds.list_page,
        _listed_by("created", "charge", "payment_intent"),
    ),
    Operation("refund.retrieve", "GET", _REFUND, reading.by_id("refund")),
    Operation("refund.update", "POST", _REFUND, refunds.update, frozenset({"metadata"})),
    Operation(
        "charge.list",
        "GET",
        "/v1/charges",
        charges.list_page,
        _listed_by("created", "customer", "payment_intent"),
    ),
    Operation("charge.retrieve", "GET", "/v1/charges/{charge_id}", reading.by_id("charge")),
    Operation(
        "event.list",
        "GET",
        "/v1/events",
        reading.list_events,
        _listed_by("created", "type", "types"),
    ),
    Operation("event.retrieve", "GET", "/v1/events/{event_id}", reading.by_id("event")),
    Operation(
        "balance_transaction.list",
        "GET",
        "/v1/balance_transactions",
        reading.list_transactions,
        _listed_by("created", "source", "type"),
    ),
    Operation(
        "balance_transaction.retrieve",
        "GET",
        "/v1/balance_transactions/{transaction_id}",
        reading.by_id("balance_transaction"),
    ),
)

blueprint = Blueprint(__name__)


def _add(operation: Operation) -> None:
    def view(**_ids: str) -> Response:
        return gateway.serve(operation, blueprint.current_request)

    # `*/*`: Stripe judges the content type itself, so Chalice must not.
    register = blueprint.route(
        operation.path,
        methods=[operation.method],
        name=operation.name,
        content_types=["*/*"],
    )
    register(view)


for _operation in OPERATIONS:
    _add(_operation)
