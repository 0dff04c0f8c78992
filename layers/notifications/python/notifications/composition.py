"""Which mail an event makes, to whom, and with which values.

The mails about a registration say nothing that the visitor typed in, such as the company's name:
whoever fills in the form chooses who receives them, and could have us deliver his message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

from contracts.billing import InvoicePaid, PaymentFailed, TrialEnding
from contracts.events import Event
from contracts.identity import (
    ApiKeyCreated,
    PasswordChanged,
    PasswordResetRequested,
    RegistrationRequested,
    TenantReactivated,
    TenantRegistered,
    TenantSuspended,
)
from kernel.encryption import open_sealed
from notifications import catalog, contacts, links
from notifications.catalog import Template
from notifications.formats import format_date, format_moment, format_money

_PLAN_NAMES: Final = {
    "api_free": "API Free",
    "api_starter": "API Starter",
    "api_pro": "API Pro",
    "inbox_starter": "Inbox Starter",
    "inbox_growth": "Inbox Growth",
    "inbox_enterprise": "Inbox Enterprise",
}

_PAYMENT_REASONS: Final = {
    "authentication_required": "Your bank wants you to confirm the payment yourself.",
    "card_declined": "The bank declined the card and gave no reason.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is not right.",
    "insufficient_funds": "The card's account does not hold enough.",
    "payment_method_missing": "No card is saved.",
}
_OTHER_PAYMENT_REASON: Final = "The payment was refused."

_SUSPENSION_CAUSES: Final = {
    "payment": "The reason is an invoice that could not be collected.",
    "abuse": "The reason is that the account was used in a way that harms others.",
    "blacklisted": "The reason is that the account's addresses or domains are on a block list.",
    "terms": "The reason is a breach of the terms of service.",
}

_SUSPENSION_NAMES: Final = {
    "payment": "for the open invoice",
    "abuse": "for abuse",
    "blacklisted": "for a block list",
    "terms": "for the terms of service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail of one event, before its words are filled in."""

    event: Event
    template: Template
    recipient: str
    values: Mapping[str, Any]


@singledispatch
def compose(event: Event) -> Mail:
    """Return the mail of an event; billing's take one read, links one decryption."""
    raise LookupError(f"No mail is written about {event.type}")


@compose.register
def _registration(event: RegistrationRequested) -> Mail:
    if event.sealed_token is None:
        return Mail(
            event=event,
            template=catalog.ADDRESS_KNOWN,
            recipient=event.email,
            values={"sign_in": links.sign_in()},
        )
    return Mail(
        event=event,
        template=catalog.VERIFICATION,
        recipient=event.email,
        values={"link": links.verify_email(_open_link(event.sealed_token, event))},
    )


@compose.register
def _welcome(event: TenantRegistered) -> Mail:
    values = {
        "company_name": event.company_name,
        "plan": _plan_name(event.plan),
        "mode": "test: mail is captured, cards are test cards" if event.mode == "test" else "live",
        "tenant_id": event.tenant_id,
        "sign_in": links.sign_in(),
    }
    return Mail(event=event, template=catalog.WELCOME, recipient=event.owner_email, values=values)


@compose.register
def _password_reset(event: PasswordResetRequested) -> Mail:
    return Mail(
        event=event,
        template=catalog.PASSWORD_RESET,
        recipient=event.email,
        values={"link": links.reset_password(_open_link(event.sealed_token, event))},
    )


@compose.register
def _password_changed(event: PasswordChanged) -> Mail:
    values = {
        "changed_at": format_moment(event.occurred_at),
        "forgotten_password": links.forgotten_password(),
    }
    return Mail(
        event=event, template=catalog.PASSWORD_CHANGED, recipient=event.email, values=values
    )


@compose.register
def _key_created(event: ApiKeyCreated) -> Mail:
    values = {
        "key_name": event.name,
        "key_id": event.key_id,
        "created_at": format_moment(event.occurred_at),
        "api_keys": links.api_keys(),
    }
    return Mail(
        event=event, template=catalog.KEY_CREATED, recipient=event.creator_email, values=values
    )


@compose.register
def _trial_ending(event: TrialEnding) -> Mail:
    values = {
        "plan": _plan_name(event.plan),
        "price": format_money(event.price),
        "first_charge": format_money(event.first_charge or event.price),
        "ends_on": format_date(event.trial_ends_at),
        "ends_at": format_moment(event.trial_ends_at),
        "has_payment_method": event.has_payment_method,
        "payment_methods": links.payment_methods(),
    }
    return _to_contact(event, catalog.TRIAL_ENDING, values)


@compose.register
def _receipt(event: InvoicePaid) -> Mail:
    values = {
        "total": format_money(event.total),
        "description": event.description,
        "invoice_id": event.invoice_id,
        "paid_on": format_date(event.occurred_at),
        "card": event.card,
        "invoices": links.invoices(),
    }
    return _to_contact(event, catalog.RECEIPT, values)


@compose.register
def _payment_failed(event: PaymentFailed) -> Mail:
    values = {
        "total": format_money(event.total),
        "reason": _payment_reason(event.reason),
        "invoice_id": event.invoice_id,
        "attempt": event.attempt,
        "next_attempt": format_date(event.next_attempt_at) if event.next_attempt_at else None,
        "link": links.pay_invoice(event.invoice_id),
    }
    return _to_contact(event, catalog.PAYMENT_FAILED, values)


@compose.register
def _suspended(event: TenantSuspended) -> Mail:
    values = {
        "since": format_moment(event.occurred_at),
        "cause": _SUSPENSION_CAUSES[event.reason],
        "for_payment": event.reason == "payment",
        "invoices": links.invoices(),
    }
    return _to_contact(event, catalog.SUSPENDED, values)


@compose.register
def _reactivated(event: TenantReactivated) -> Mail:
    values = {
        "is_open": event.open,
        "lifted": _SUSPENSION_NAMES[event.reason],
        "sign_in": links.sign_in(),
    }
    return _to_contact(event, catalog.REACTIVATED, values)


def _to_contact(event: Event, template: Template, values: Mapping[str, Any]) -> Mail:
    """Return a mail to the tenant's contact; raises ContactUnknownError until there is one."""
    email, company_name = contacts.require(event.tenant_id)
    return Mail(
        event=event,
        template=template,
        recipient=email,
        values={"company_name": company_name, **values},
    )


def _open_link(sealed_token: str, event: Event) -> str:
    """Return a link's secret, which is in clear nowhere but in the mail."""
    return open_sealed(sealed_token, purpose="link", subject=event.subject)


def _payment_reason(reason: str) -> str:
    """Return why a payment failed: our sentence for a code, or billing's own sentence."""
    if " " in reason:
        return reason if reason.endswith((".", "!", "?")) else f"{reason}."
    return _PAYMENT_REASONS.get(reason, _OTHER_PAYMENT_REASON)


def _plan_name(plan: str) -> str:
    return _PLAN_NAMES.get(plan, plan)
