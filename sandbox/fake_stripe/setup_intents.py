"""SetupIntents: https://docs.stripe.com/api/setup_intents and docs.stripe.com/payments/intents."""

from sandbox.fake_stripe import cards, errors, intents, listing, metadata, objects, payment_methods
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

OBJECT = "setup_intent"
UPDATE_PARAMS = frozenset({"customer", "description", "metadata", "payment_method"})
CONFIRM_PARAMS = frozenset({"mandate_data", "payment_method", "return_url", "use_stripe_sdk"})
CREATE_PARAMS = (
    UPDATE_PARAMS
    | CONFIRM_PARAMS
    | {"allowed_payment_method_types", "automatic_payment_methods", "confirm", "usage"}
)

CONFIRMABLE = (REQUIRES_PAYMENT_METHOD, REQUIRES_CONFIRMATION, REQUIRES_ACTION)
CANCELABLE = CONFIRMABLE
AUTHENTICATION_FAILURE = (
    "The latest attempt to set up the payment method has failed because authentication failed."
)


def create(session: Session, params: Json) -> Json:
    """POST /v1/setup_intents."""
    stored = session.add(objects.setup_intent(session))
    intent = stored.body
    if params.get("return_url") and not params.get("confirm"):
        raise errors.invalid(
            "return_url",
            "The parameter `return_url` cannot be passed when creating a "
            "SetupIntent unless `confirm` is set to true.",
        )
    intents.set_accepted_methods(intent, params)
    intent["usage"] = params.get("usage") or "off_session"
    _assign(session, stored, params)
    session.emit("setup_intent.created", intent)
    if params.get("confirm"):
        _proceed(session, stored, params)
    return intent


def retrieve(session: Session, params: Json, *, setup_intent_id: str) -> Json:
    """GET /v1/setup_intents/{id}."""
    stored = intents.addressed(session, OBJECT, setup_intent_id, params)
    return intents.shown(session, stored.body)


def update(session: Session, params: Json, *, setup_intent_id: str) -> Json:
    """POST /v1/setup_intents/{id}."""
    stored = session.named_in_path(OBJECT, setup_intent_id)
    beyond_metadata = set(params) - {"description", "metadata", "expand"}
    if beyond_metadata and stored.body["status"] not in CONFIRMABLE:
        raise intents.refuse_status(stored.body, "update", "updated", CONFIRMABLE)
    _assign(session, stored, params)
    session.change(stored)
    return stored.body


def confirm(session: Session, params: Json, *, setup_intent_id: str) -> Json:
    """POST /v1/setup_intents/{id}/confirm, by the server or by the browser."""
    stored = intents.addressed(session, OBJECT, setup_intent_id, params)
    intent = stored.body
    if intent["status"] == SUCCEEDED:
        raise intents.unexpected_state(
            intent, "You cannot confirm this SetupIntent because it has already succeeded."
        )
    if intent["status"] not in CONFIRMABLE:
        raise intents.refuse_status(intent, "confirm", "confirmed", CONFIRMABLE)
    intents.choose_method(session, intent, params, while_in=CONFIRMABLE)
    _proceed(session, stored, params)
    return intents.shown(session, intent)


def cancel(session: Session, params: Json, *, setup_intent_id: str) -> Json:
    """POST /v1/setup_intents/{id}/cancel."""
    stored = session.named_in_path(OBJECT, setup_intent_id)
    intent = stored.body
    if intent["status"] not in CANCELABLE:
        raise intents.refuse_status(intent, "cancel", "canceled", CANCELABLE)
    intent.update(
        status=CANCELED,
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    session.change(stored)
    session.emit("setup_intent.canceled", intent)
    return intent


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/setup_intents."""
    customer, method = params.get("customer"), params.get("payment_method")
    return listing.page(
        session,
        OBJECT,
        params,
        "/v1/setup_intents",
        lambda stored: (
            customer in (None, stored.body["customer"])
            and method in (None, stored.body["payment_method"])
        ),
    )


def authenticate(session: Session, stored: StoredObject, *, succeeds: bool) -> None:
    """The customer passed or failed the challenge that the intent waits for."""
    intent = stored.body
    method = session.named_in_param("payment_method", intent["payment_method"], "payment_method")
    if succeeds:
        _judge(session, stored, method, {}, authenticated=True)
        return
    error = errors.ApiError(
        400,
        AUTHENTICATION_FAILURE,
        code="setup_intent_authentication_failure",
    )
    _fail(session, stored, method, error)


def _assign(session: Session, stored: StoredObject, params: Json) -> None:
    intent = stored.body
    if customer_id := params.get("customer"):
        session.named_in_param("customer", customer_id, "customer")
        intent["customer"] = customer_id
    if "description" in params:
        intent["description"] = params["description"]
    intent["metadata"] = metadata.merged(intent["metadata"], params.get("metadata"))
    intents.choose_method(session, intent, params, while_in=CONFIRMABLE)


def _proceed(session: Session, stored: StoredObject, params: Json) -> None:
    intent = stored.body
    if intent["payment_method"] is None:
        raise intents.unexpected_state(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment method. Update "
            "the SetupIntent with a payment method and then confirm it again.",
        )
    if not session.publishable:
        intents.require_return_url(intent, params)
    method = session.named_in_param("payment_method", intent["payment_method"], "payment_method")
    payment_methods.refuse_unusable(method, intent["customer"])
    _judge(session, stored, method, params, authenticated=False)


def _judge(
    session: Session,
    stored: StoredObject,
    method: StoredObject,
    params: Json,
    *,
    authenticated: bool,
) -> None:
    intent = stored.body
    session.change(stored)
    fault = session.faults.take("decline")
    verdict: Verdict | Decline = (
        cards.decline(fault.options["code"])
        if fault
        else cards.judge_setup(payment_methods.card_of(method), authenticated=authenticated)
    )
    if isinstance(verdict, Decline):
        error = verdict.error()
        _fail(session, stored, method, error)
        error.details["setup_intent"] = intents.shown(session, intent)
        raise error
    if verdict is Verdict.CHALLENGE:
        _record_attempt(session, intent, method, "requires_action")
        intent.update(status=REQUIRES_ACTION, next_action=intents.challenge(intent, params))
        session.emit("setup_intent.requires_action", intent)
        return
    _record_attempt(session, intent, method, "succeeded")
    intent.update(status=SUCCEEDED, next_action=None, last_setup_error=None)
    if intent["usage"] == "off_session":
        method.private["set_up"] = True
        session.change(method)
    if intent["customer"] is not None and method.body["customer"] is None:
        payment_methods.attach_to(session, method, intent["customer"])
    session.emit("setup_intent.succeeded", intent)


def _fail(
    session: Session, stored: StoredObject, method: StoredObject, error: errors.ApiError
) -> None:
    intent = stored.body
    _record_attempt(session, intent, method, "failed")
    intent.update(
        status=REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        next_action=None,
        last_setup_error={**error.body(), "payment_method": method.body},
    )
    session.change(stored)
    session.emit("setup_intent.setup_failed", intent)


def _record_attempt(session: Session, intent: Json, method: StoredObject, status: str) -> None:
    attempt = objects.setup_attempt(session, intent, method.body["id"], status)
    session.add(attempt)
    intent["latest_attempt"] = attempt["id"]
