"""Customers: https://docs.stripe.com/api/customers."""

import re

from sandbox.fake_stripe import errors, listing, metadata, objects, payment_methods
from sandbox.fake_stripe.session import Session
from sandbox.storage import Json, StoredObject

FIELDS = frozenset(
    {
        "address",
        "description",
        "email",
        "name",
        "phone",
        "preferred_locales",
        "shipping",
        "tax_exempt",
    }
)
PARAMS = FIELDS | {"invoice_settings", "metadata"}

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def create(session: Session, params: Json) -> Json:
    """POST /v1/customers."""
    stored = session.add(objects.customer(session))
    _assign(stored, params)
    if method_id := params.get("payment_method"):
        method = payment_methods.named(session, method_id, "payment_method")
        payment_methods.attach_to(session, method, stored.body["id"])
    _set_default(session, stored, params)
    session.emit("customer.created", stored.body)
    return stored.body


def update(session: Session, params: Json, *, customer_id: str) -> Json:
    """POST /v1/customers/{id}."""
    stored = _living(session, customer_id)
    before = {name: stored.body[name] for name in PARAMS if name in params}
    _assign(stored, params)
    _set_default(session, stored, params)
    session.change(stored)
    previous = {name: value for name, value in before.items() if stored.body[name] != value}
    if previous:
        session.emit("customer.updated", stored.body, previous)
    return stored.body


def delete(session: Session, _params: Json, *, customer_id: str) -> Json:
    """DELETE /v1/customers/{id}: its payment methods are detached for good."""
    stored = _living(session, customer_id)
    for method in list(session.work.list("payment_method")):
        if method.body["customer"] == customer_id:
            payment_methods.detach_from_customer(session, method)
    session.emit("customer.deleted", stored.body)
    stored.body = {"id": customer_id, "object": "customer", "deleted": True}
    session.change(stored)
    return stored.body


def list_page(session: Session, params: Json) -> Json:
    """GET /v1/customers."""
    email = params.get("email")
    return listing.page(
        session,
        "customer",
        params,
        "/v1/customers",
        lambda stored: not stored.body.get("deleted") and email in (None, stored.body["email"]),
    )


def _living(session: Session, customer_id: str) -> StoredObject:
    stored = session.named_in_path("customer", customer_id)
    if stored.body.get("deleted"):
        raise errors.no_such("customer", customer_id, "id", status=404)
    return stored


def _assign(stored: StoredObject, params: Json) -> None:
    email = params.get("email")
    if email and not _EMAIL.fullmatch(email):
        raise errors.invalid("email", f"Invalid email address: {email}", "email_invalid")
    for name in FIELDS & set(params):
        stored.body[name] = _filled(name, params[name])
    stored.body["metadata"] = metadata.merged(stored.body["metadata"], params.get("metadata"))


def _filled(name: str, value: object) -> object:
    if name == "address" and isinstance(value, dict):
        return {**objects.EMPTY_ADDRESS, **value}
    if name == "tax_exempt":
        return value or "none"
    return None if value == "" else value


def _set_default(session: Session, stored: StoredObject, params: Json) -> None:
    """`invoice_settings[default_payment_method]` must be one of the customer's own."""
    settings = params.get("invoice_settings")
    if settings is None:
        return
    unused = sorted(set(settings) - {"default_payment_method"})
    if unused:
        raise errors.unimplemented("customer", [f"invoice_settings[{name}]" for name in unused])
    method_id = settings.get("default_payment_method")
    if method_id:
        param = "invoice_settings[default_payment_method]"
        method = session.named_in_param("payment_method", method_id, param)
        if method.body["customer"] != stored.body["id"]:
            raise errors.invalid(
                param,
                f"The customer does not have a payment method with the ID {method_id}. "
                "The payment method must be attached to the customer.",
                "resource_missing",
            )
    stored.body["invoice_settings"] = {
        **stored.body["invoice_settings"],
        "default_payment_method": method_id or None,
    }
