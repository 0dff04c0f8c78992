"""What PaymentIntents and SetupIntents have in common."""

from collections.abc import Collection

from sandbox.fake_stripe import errors, payment_methods
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

REQUIRES_PAYMENT_METHOD = "requires_payment_method"
REQUIRES_CONFIRMATION = "requires_confirmation"
REQUIRES_ACTION = "requires_action"
SUCCEEDED = "succeeded"
CANCELED = "canceled"

NAMES = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}

# What a browser, which has a publishable key and the client secret, does not get to see.
HIDDEN_FROM_BROWSERS = frozenset(
    {"customer", "customer_account", "latest_charge", "metadata", "review", "transfer_data"}
)

RETURN_URL_NEEDED = (
    "This {name} is configured to accept payment methods enabled in your Dashboard. Because some "
    "of these payment methods might redirect your customer off of your page, you must provide a "
    "`return_url`. If you don't want to accept redirect-based payment methods, set "
    "`automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
    "Payment Intents."
)


def addressed(session: Session, object_type: str, intent_id: str, params: Json) -> StoredObject:
    """The intent in the path; a publishable key must come with its client secret."""
    stored = session.named_in_path(object_type, intent_id)
    secret = params.get("client_secret")
    if session.publishable and not secret:
        raise errors.missing("client_secret")
    if secret and secret != stored.body["client_secret"]:
        raise errors.invalid(
            "client_secret",
            "The client_secret provided does not match any associated "
            f"{NAMES[object_type]} on this account. Ensure the provided key is from the same "
            "account and livemode as the one that created it.",
            f"{object_type}_invalid_parameter",
        )
    return stored


def shown(session: Session, body: Json) -> Json:
    """An intent as the caller may see it."""
    if not session.publishable:
        return body
    return {name: value for name, value in body.items() if name not in HIDDEN_FROM_BROWSERS}


def set_accepted_methods(body: Json, params: Json) -> None:
    """Which payment methods a new intent accepts, and whether they may redirect."""
    automatic = params.get("automatic_payment_methods")
    allowed = params.get("allowed_payment_method_types")
    if automatic is not None:
        body["automatic_payment_methods"] = {
            "allow_redirects": automatic.get("allow_redirects", "always"),
            "enabled": automatic["enabled"],
        }
    if allowed:
        body["allowed_payment_method_types"] = allowed
        if "card" not in allowed:
            raise errors.unimplemented("intents", ["allowed_payment_method_types without card"])
        body["payment_method_types"] = [kind for kind in ("card", "link") if kind in allowed]


def chosen_method(session: Session, params: Json) -> StoredObject | None:
    """The payment method that the parameters name or describe."""
    method_id, data = params.get("payment_method"), params.get("payment_method_data")
    if method_id and data:
        raise errors.invalid(
            "payment_method",
            "You may only specify one of these parameters: payment_method, payment_method_data.",
            "parameters_exclusive",
        )
    if data:
        return payment_methods.from_data(session, data, "payment_method_data")
    if method_id:
        return payment_methods.named(session, method_id, "payment_method")
    return None


def choose_method(
    session: Session, intent: Json, params: Json, *, while_in: Collection[str]
) -> None:
    """Put the payment method that a request names into an intent that is still open."""
    method = chosen_method(session, params)
    if method is None:
        return
    payment_methods.refuse_unusable(method, intent["customer"])
    intent["payment_method"] = method.body["id"]
    if intent["status"] in while_in:
        intent.update(status=REQUIRES_CONFIRMATION, next_action=None)


def require_return_url(body: Json, params: Json) -> None:
    """Confirming needs a `return_url` unless no accepted method can redirect."""
    automatic = body["automatic_payment_methods"] or {}
    redirects = automatic.get("enabled") and automatic.get("allow_redirects") != "never"
    card_only = body.get("allowed_payment_method_types") == ["card"]
    if redirects and not card_only and not params.get("return_url"):
        raise errors.ApiError(400, RETURN_URL_NEEDED.format(name=NAMES[body["object"]]))


def challenge(body: Json, params: Json) -> Json:
    """The `next_action` of an intent that waits for the customer to authenticate.

    There is no page behind the address: the control API says how the challenge ended.
    """
    return_url = params.get("return_url")
    if return_url:
        address = f"https://hooks.stripe.invalid/redirect/authenticate/{body['id']}"
        return {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": return_url, "url": address},
        }
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect", "source": body["id"]},
    }


def unexpected_state(body: Json, message: str) -> errors.ApiError:
    """An operation that the intent's status does not allow; the intent is in the error."""
    object_type = body["object"]
    return errors.ApiError(
        400, message, code=f"{object_type}_unexpected_state", details={object_type: body}
    )


def refuse_status(
    body: Json, action: str, participle: str, allowed: Collection[str]
) -> errors.ApiError:
    """The error of an operation that needs other statuses than the intent has."""
    name = NAMES[body["object"]]
    return unexpected_state(
        body,
        f"You cannot {action} this {name} because it has a status of {body['status']}. Only a "
        f"{name} with one of the following statuses may be {participle}: {', '.join(allowed)}.",
    )
