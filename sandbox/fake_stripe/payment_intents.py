"""PaymentIntents: https://docs.stripe.com/payments/paymentintents/lifecycle."""

from sandbox.fake_stripe import (
    cards,
    charges,
    errors,
    intents,
    listing,
    metadata,
    objects,
    payment_methods,
)
from sandbox.fake_stripe.cards import Decline, Verdict
from sandbox.fake_stripe.intents import (
    CANCELED,
    REQUIRES_ACTION,
    REQUIRES_CONFIRMATION,
    REQUIRES_PAYMENT_METHOD,
    SUCCEEDED,
)
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

OBJECT = "payment_intent"
REQUIRES_CAPTURE = "requires_capture"

FIELDS = frozenset(
    {
        "description",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    }
)
CONFIRM_ONLY_PARAMS = frozenset(
    {"error_on_requires_action", "off_session", "mandate_data", "return_url"}
)
CREATE_PARAMS = (
    FIELDS
    | CONFIRM_ONLY_PARAMS
    | {
        "allowed_payment_method_types",
        "amount",
        "automatic_payment_methods",
        "capture_method",
        "confirm",
        "currency",
        "customer",
        "metadata",
        "payment_method",
        "use_stripe_sdk",
    }
)
UPDATE_PARAMS = FIELDS | {"amount", "currency", "customer", "metadata", "payment_method"}
CONFIRM_PARAMS = CONFIRM_ONLY_PARAMS | {
    "payment_method",
    "receipt_email",
    "setup_future_usage",
    "use_stripe_sdk",
}
CAPTURE_PARAMS = frozenset({"amount_to_capture", "metadata"})

OPEN = (REQUIRES_PAYMENT_METHOD, REQUIRES_CONFIRMATION, REQUIRES_ACTION)
CANCELABLE = (REQUIRES_PAYMENT_METHOD, REQUIRES_CAPTURE, REQUIRES_CONFIRMATION, REQUIRES_ACTION)

# The least that can be charged: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
LEAST = {"aud": 50, "cad": 50, "chf": 50, "eur": 50, "gbp": 30, "jpy": 50, "nzd": 50, "usd": 50}
CURRENCIES = frozenset(LEAST) | {"ghs", "kes", "mxn", "ngn", "zar"}
MOST = 99_999_999

AUTHENTICATION_FAILURE = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or "
    "a new PaymentMethod to attempt to fulfill this PaymentIntent again."
)


def create(session: Session, params: Json) -> Json:
    """POST /v1/payment_intents."""
    _check_amount(params["amount"], _checked_currency(params["currency"]))
    if not params.get("confirm"):
        for name in sorted(CONFIRM_ONLY_PARAMS & set(params)):
            raise errors.invalid(
                name,
                f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless "
                "`confirm` is set to true.",
            )
    stored = session.add(
        objects.payment_intent(session, params["amount"], params["currency"].lower())
    )
    intents.set_accepted_methods(stored.body, params)
    stored.body["capture_method"] = params.get("capture_method") or "automatic_async"
    _assign(session, stored, params)
    session.emit("payment_intent.created", stored.body)
    if params.get("confirm"):
        _proceed(session, stored, params)
    return stored.body


def retrieve(session: Session, params: Json, *, payment_intent_id: str) -> Json:
    """GET /v1/payment_intents/{id}."""
    stored = intents.addressed(session, OBJECT, payment_intent_id, params)
    return intents.shown(session, stored.body)


def update(session: Session, params: Json, *, payment_intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}: what decides the charge only while it is open."""
    stored = session.named_in_path(OBJECT, payment_intent_id)
    intent = stored.body
    fixed = {"amount", "currency", "customer", "payment_method", "setup_future_usage"} & set(params)
    if fixed and intent["status"] not in OPEN:
        name = min(fixed)
        raise intents.unexpected_state(
            intent,
            f"This PaymentIntent's {name} could not be updated because it has a status of "
            f"{intent['status']}. You may only update the {name} of a PaymentIntent with one of "
            f"the following statuses: {', '.join(OPEN)}.",
        )
    if "currency" in params:
        intent["currency"] = _checked_currency(params["currency"])
    if "amount" in params:
        intent["amount"] = params["amount"]
    _check_amount(intent["amount"], intent["currency"])
    _assign(session, stored, params)
    session.change(stored)
    return intent


def confirm(session: Session, params: Json, *, payment_intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}/confirm, by the server or by the browser."""
    stored = intents.addressed(session, OBJECT, payment_intent_id, params)
    intent = stored.body
    if intent["status"] == SUCCEEDED:
        raise intents.unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it has already succeeded after being "
            "previously confirmed.",
        )
    if intent["status"] not in OPEN:
        raise intents.refuse_status(intent, "confirm", "confirmed", OPEN)
    for name in FIELDS & set(params):
        intent[name] = params[name] or None
    intents.choose_method(session, intent, params, while_in=OPEN)
    _proceed(session, stored, params)
    return intents.shown(session, intent)


def capture(session: Session, params: Json, *, payment_intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}/capture: the rest of a partial capture is released."""
    stored = session.named_in_path(OBJECT, payment_intent_id)
    intent = stored.body
    if intent["status"] != REQUIRES_CAPTURE:
        raise intents.unexpected_state(
            intent,
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent['status']}. Only a PaymentIntent with one of the following statuses may be "
            f"captured: {REQUIRES_CAPTURE}.",
        )
    amount: int = intent["amount_capturable"]
    if "amount_to_capture" in params:
        amount = params["amount_to_capture"]
    if not 1 <= amount <= intent["amount_capturable"]:
        raise errors.invalid(
            "amount_to_capture",
            "The remaining amount to capture for this PaymentIntent is "
            f"{intent['amount_capturable']}.",
            "amount_too_large" if amount > intent["amount_capturable"] else "amount_too_small",
        )
    intent["metadata"] = metadata.merged(intent["metadata"], params.get("metadata"))
    charge = session.named_in_param("charge", intent["latest_charge"], "latest_charge")
    charges.capture(session, charge, amount)
    intent.update(status=SUCCEEDED, amount_capturable=0, amount_received=amount)
    session.change(stored)
    session.emit("charge.captured", charge.body)
    session.emit("payment_intent.succeeded", intent)
    charges.note(session, charge.body, "capture")
    return intent


def cancel(session: Session, params: Json, *, payment_intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}/cancel: an authorised amount is released."""
    stored = session.named_in_path(OBJECT, payment_intent_id)
    intent = stored.body
    if intent["status"] not in CANCELABLE:
        raise intents.refuse_status(intent, "cancel", "canceled", (*CANCELABLE, "processing"))
    if intent["status"] == REQUIRES_CAPTURE:
        charge = session.named_in_param("charge", intent["latest_charge"], "latest_charge")
        charge.body.update(amount_refunded=charge.body["amount"], refunded=True)
        session.change(charge)
        session.emit("charge.refunded", charge.body)
    intent.update(
        status=CANCELED,
        amount_capturable=0,
        canceled_at=session.now,
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    session.change(stored)
    session.emit("payment_intent.canceled", intent)
    return intent


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/payment_intents."""
    customer = params.get("customer")
    return listing.page(
        session,
        OBJECT,
        params,
        "/v1/payment_intents",
        lambda stored: customer in (None, stored.body["customer"]),
    )


def authenticate(session: Session, stored: StoredObject, *, succeeds: bool) -> None:
    """The customer passed or failed the challenge that the intent waits for."""
    intent = stored.body
    method = session.named_in_param("payment_method", intent["payment_method"], "payment_method")
    if succeeds:
        _attempt(session, stored, method, {}, authenticated=True)
        return
    error = errors.ApiError(
        400, AUTHENTICATION_FAILURE, code="payment_intent_authentication_failure"
    )
    _fail(session, stored, method, error)


def _checked_currency(currency: str) -> str:
    if currency.lower() not in CURRENCIES:
        raise errors.invalid(
            "currency",
            f"Invalid currency: {currency}. The sandbox currently supports these currencies: "
            f"{', '.join(sorted(CURRENCIES))}",
        )
    return currency.lower()


def _check_amount(amount: int, currency: str) -> None:
    if amount < 1:
        raise errors.invalid(
            "amount",
            "This value must be greater than or equal to 1.",
            "parameter_invalid_integer",
        )
    least = LEAST.get(currency, 1)
    if amount < least:
        raise errors.invalid(
            "amount",
            f"Amount must be at least {least} in the smallest unit of {currency}.",
            "amount_too_small",
        )
    if amount > MOST:
        raise errors.invalid("amount", f"Amount must be no more than {MOST}.", "amount_too_large")


def _assign(session: Session, stored: StoredObject, params: Json) -> None:
    intent = stored.body
    if customer_id := params.get("customer"):
        session.named_in_param("customer", customer_id, "customer")
        intent["customer"] = customer_id
    for name in FIELDS & set(params):
        intent[name] = params[name] or None
    intent["metadata"] = metadata.merged(intent["metadata"], params.get("metadata"))
    intents.choose_method(session, intent, params, while_in=OPEN)


def _proceed(session: Session, stored: StoredObject, params: Json) -> None:
    intent = stored.body
    if intent["payment_method"] is None:
        raise intents.unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
        )
    if not session.publishable:
        intents.require_return_url(intent, params)
    method = session.named_in_param("payment_method", intent["payment_method"], "payment_method")
    payment_methods.refuse_unusable(
        method, intent["customer"], off_session=bool(params.get("off_session"))
    )
    _attempt(session, stored, method, params, authenticated=False)


def _attempt(
    session: Session,
    stored: StoredObject,
    method: StoredObject,
    params: Json,
    *,
    authenticated: bool,
) -> None:
    """Ask the card's issuer, and take the intent where the answer leads."""
    intent = stored.body
    session.change(stored)
    fault = session.faults.take("decline")
    verdict: Verdict | Decline = (
        cards.decline(fault.options["code"])
        if fault
        else cards.judge_charge(
            payment_methods.card_of(method),
            off_session=bool(params.get("off_session")),
            authenticated=authenticated,
            set_up=method.private.get("set_up", False),
        )
    )
    if verdict is Verdict.CHALLENGE and params.get("error_on_requires_action"):
        error = cards.AUTHENTICATION_REQUIRED.error()
        _fail(session, stored, method, error)
        error.details["payment_intent"] = intents.shown(session, intent)
        raise error
    if verdict is Verdict.CHALLENGE:
        intent.update(status=REQUIRES_ACTION, next_action=intents.challenge(intent, params))
        session.emit("payment_intent.requires_action", intent)
        return
    if isinstance(verdict, Decline):
        charge = charges.refuse(session, intent, method, intent["amount"], verdict)
        error = verdict.error(charge.body["id"])
        intent["latest_charge"] = charge.body["id"]
        _fail(session, stored, method, error)
        error.details["payment_intent"] = intents.shown(session, intent)
        raise error
    _succeed(session, stored, method)


def _succeed(session: Session, stored: StoredObject, method: StoredObject) -> None:
    intent = stored.body
    amount = intent["amount"]
    if fault := session.faults.take("wrong_amount"):
        amount = fault.options["amount"] or 2 * amount
    charge_count = 2 if session.faults.take("double_charge") else 1
    manual = intent["capture_method"] == "manual"
    for _ in range(charge_count):
        charge = charges.authorise(session, intent, method, amount)
        if not manual:
            charges.capture(session, charge, amount)
        session.emit("charge.succeeded", charge.body)
        charges.note(session, charge.body)
    intent.update(
        status=REQUIRES_CAPTURE if manual else SUCCEEDED,
        amount_capturable=amount if manual else 0,
        amount_received=0 if manual else amount,
        latest_charge=charge.body["id"],
        last_payment_error=None,
        next_action=None,
    )
    _keep_method(session, intent, method)
    session.emit(
        "payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded",
        intent,
    )


def _keep_method(session: Session, intent: Json, method: StoredObject) -> None:
    """Save the method to the customer if asked to; unsaved, it cannot be used again."""
    if method.body["customer"] is None:
        if intent["setup_future_usage"] and intent["customer"]:
            payment_methods.attach_to(session, method, intent["customer"])
        else:
            method.private["spent"] = True
    if intent["setup_future_usage"] == "off_session":
        method.private["set_up"] = True
    session.change(method)


def _fail(
    session: Session, stored: StoredObject, method: StoredObject, error: errors.ApiError
) -> None:
    intent = stored.body
    intent.update(
        status=REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        next_action=None,
        last_payment_error={**error.body(), "payment_method": method.body},
    )
    session.change(stored)
    session.emit("payment_intent.payment_failed", intent)
