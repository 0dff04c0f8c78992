"""PaymentMethods, cards only: https://docs.stripe.com/api/payment_methods."""

from sandbox.fake_stripe import cards, errors, listing, metadata, objects
from sandbox.fake_stripe.cards import Decline, TestCard, Verdict
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

METHOD_PREFIX = "pm_card_"
TOK_PREFIX = "tok_"

RAW_NUMBER_REFUSED = (
    "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you "
    "use test tokens that map to the test card you are using, see https://stripe.com/docs/testing. "
    "To enable testing raw card data APIs, see "
    "https://support.stripe.com/questions/enabling-access-to-raw-card-data-apis."
)
SPENT = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
    "attachment, shared with a connected account without Customer attachment, or was detached "
    "from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must "
    "attach it to a Customer first."
)


def create(session: Session, params: Json) -> Json:
    """POST /v1/payment_methods: `type=card` with a test token."""
    return from_data(session, params, "").body


def update(session: Session, params: Json, *, payment_method_id: str) -> Json:
    """POST /v1/payment_methods/{id}: only one that is attached."""
    stored = session.named_in_path("payment_method", payment_method_id)
    if stored.body["customer"] is None:
        raise errors.ApiError(
            400, "You must save this PaymentMethod to a customer before you can update it."
        )
    before: Json = {
        name: stored.body[name] for name in ("billing_details", "metadata") if name in params
    }
    _assign(stored, params)
    card = params.get("card") or {}
    if not card.keys() <= {"exp_month", "exp_year"}:
        raise errors.unimplemented("payment_method.update", sorted(f"card[{x}]" for x in card))
    if card:
        before["card"] = dict(stored.body["card"])
        stored.body["card"] = {**stored.body["card"], **card}
    session.change(stored)
    session.emit("payment_method.updated", stored.body, before)
    return stored.body


def attach(session: Session, params: Json, *, payment_method_id: str) -> Json:
    """POST /v1/payment_methods/{id}/attach: the issuer is asked, so a bad card is declined."""
    if not params.get("customer"):
        raise errors.missing("customer")
    customer = session.named_in_param("customer", params["customer"], "customer")
    stored = named(session, payment_method_id, None)
    fault = session.faults.take("decline")
    verdict: Verdict | Decline | None = (
        cards.decline(fault.options["code"]) if fault else card_of(stored).refused_at_setup
    )
    if isinstance(verdict, Decline):
        raise verdict.error()
    attach_to(session, stored, customer.body["id"])
    return stored.body


def detach(session: Session, _params: Json, *, payment_method_id: str) -> Json:
    """POST /v1/payment_methods/{id}/detach: it can never be used again."""
    stored = session.named_in_path("payment_method", payment_method_id)
    if stored.body["customer"] is None:
        raise errors.ApiError(
            400,
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible.",
        )
    detach_from_customer(session, stored)
    return stored.body


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/payment_methods."""
    if customer_id := params.get("customer"):
        session.named_in_param("customer", customer_id, "customer")
    return _page(session, params, params.get("customer"), "/v1/payment_methods")


def list_of_customer(session: Session, params: Json, *, customer_id: str) -> Json:
    """GET /v1/customers/{id}/payment_methods."""
    session.named_in_path("customer", customer_id)
    return _page(session, params, customer_id, f"/v1/customers/{customer_id}/payment_methods")


def retrieve_of_customer(
    session: Session, _params: Json, *, customer_id: str, payment_method_id: str
) -> Json:
    """GET /v1/customers/{id}/payment_methods/{id}."""
    stored = session.named_in_path("payment_method", payment_method_id)
    if stored.body["customer"] != customer_id:
        raise errors.no_such("payment_method", payment_method_id, "payment_method", status=404)
    return stored.body


def named(session: Session, method_id: str, param: str | None) -> StoredObject:
    """The PaymentMethod of an id; a test name such as `pm_card_visa` makes a new one."""
    if method_id.startswith(METHOD_PREFIX):
        card = cards.by_name(method_id.removeprefix(METHOD_PREFIX))
        if card is not None:
            return _new(session, card)
    if param is None:
        return session.named_in_path("payment_method", method_id)
    return session.named_in_param("payment_method", method_id, param)


def from_data(session: Session, data: Json, prefix: str) -> StoredObject:
    """A PaymentMethod from `type=card&card[token]=tok_…`; `prefix` names the data in errors."""

    def param(name: str) -> str:
        return f"{prefix}[{name}]" if prefix else name

    if not data.get("type"):
        raise errors.missing(param("type"))
    if data["type"] != "card":
        raise errors.unimplemented("payment_method", [f"{param('type')}={data['type']}"])
    details = data.get("card")
    if not isinstance(details, dict):
        raise errors.missing(param("card"))
    if "number" in details:
        raise errors.ApiError(402, RAW_NUMBER_REFUSED)
    token = details.get("token")
    if not token:
        raise errors.missing(f"{param('card')}[token]")
    card = cards.by_name(token.removeprefix(TOK_PREFIX)) if token.startswith(TOK_PREFIX) else None
    if card is None:
        raise errors.no_such("token", token, f"{param('card')}[token]")
    stored = _new(session, card)
    _assign(stored, data)
    return stored


def card_of(stored: StoredObject) -> TestCard:
    """The test card behind a PaymentMethod."""
    card = cards.by_name(stored.private["card"])
    if card is None:
        raise LookupError(stored.private["card"])
    return card


def attach_to(session: Session, stored: StoredObject, customer_id: str) -> None:
    """Attach to a customer, if that is still possible."""
    if stored.body["customer"] is not None:
        raise errors.ApiError(
            400, "The payment method you provided has already been attached to a customer."
        )
    refuse_spent(stored)
    stored.body["customer"] = customer_id
    session.change(stored)
    session.emit("payment_method.attached", stored.body)


def detach_from_customer(session: Session, stored: StoredObject) -> None:
    """Detach; the customer's default goes with it."""
    customer_id = stored.body["customer"]
    stored.body["customer"] = None
    stored.private["spent"] = True
    session.change(stored)
    session.emit("payment_method.detached", stored.body, {"customer": customer_id})
    customer = session.find("customer", customer_id)
    if customer is None or customer.body.get("deleted"):
        return
    settings = customer.body["invoice_settings"]
    if settings["default_payment_method"] == stored.body["id"]:
        customer.body["invoice_settings"] = {**settings, "default_payment_method": None}
        session.change(customer)
        session.emit("customer.updated", customer.body, {"invoice_settings": settings})


def refuse_spent(stored: StoredObject) -> None:
    """A PaymentMethod that was used without a customer, or was detached, is of no use again."""
    if stored.private.get("spent"):
        raise errors.ApiError(400, SPENT)


def refuse_unusable(
    stored: StoredObject, customer_id: str | None, *, off_session: bool = False
) -> None:
    """Refuse a PaymentMethod that an intent of this customer must not use."""
    refuse_spent(stored)
    owner = stored.body["customer"]
    method_id = stored.body["id"]
    if owner is not None and customer_id is None:
        raise errors.invalid(
            "payment_method",
            f"The PaymentMethod {method_id} belongs to the Customer {owner}. Please include the "
            "Customer in the `customer` parameter on the PaymentIntent.",
        )
    made_just_now = stored.version == 0
    if owner != customer_id and (owner is not None or (off_session and not made_just_now)):
        raise errors.invalid(
            "payment_method",
            f"The customer does not have a payment method with the ID {method_id}. "
            "The payment method must be attached to the customer.",
        )


def _new(session: Session, card: TestCard) -> StoredObject:
    return session.add(objects.payment_method(session, card), {"card": card.name})


def _assign(stored: StoredObject, params: Json) -> None:
    details = params.get("billing_details") or {}
    address = details.get("address") or {}
    current = stored.body["billing_details"]
    stored.body["billing_details"] = {
        **current,
        **{name: value or None for name, value in details.items()},
        "address": {**current["address"], **address},
    }
    if params.get("allow_redisplay"):
        stored.body["allow_redisplay"] = params["allow_redisplay"]
    stored.body["metadata"] = metadata.merged(stored.body["metadata"], params.get("metadata"))


def _page(session: Session, params: Json, customer_id: str | None, url: str) -> Json:
    def wanted(stored: StoredObject) -> bool:
        owner = stored.body["customer"]
        return owner is not None and customer_id in (None, owner)

    if params.get("type") not in (None, "card"):
        return {"object": "list", "data": [], "has_more": False, "url": url}
    return listing.page(session, "payment_method", params, url, wanted)
