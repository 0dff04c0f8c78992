"""Paying an invoice at once, on the tenant's own request, also while suspended for payment."""

import hashlib
from typing import Final

from billing import charges, invoices
from billing.charges import Charge
from billing.errors import DiscrepancyError, PaymentDeclinedError, PaymentUnderReviewError
from billing.models import Invoice, PayInvoice
from billing.tables import AttemptRecord
from kernel.errors import NotFoundError, RequestInFlightError
from kernel.ids import new_id
from kernel.principals import Caller
from kernel.tables import find

_PREFIX: Final = "r"


def pay(caller: Caller, invoice_id: str, body: PayInvoice) -> Invoice:
    """Charge a saved card for an open invoice; the amount is the invoice's.

    What `charges.charge` takes, and a read of the invoice.
    """
    wanted = Charge(
        tenant_id=caller.tenant_id,
        invoice_id=invoice_id,
        name=_name(caller),
        actor=caller,
        payment_method_id=body.payment_method_id,
        remember=True,
        waits_for_others=True,
    )
    return _outcome(caller, wanted)


def replay(caller: Caller, attempt_id: str) -> Invoice:
    """Answer a repeated request: with the invoice, the decline, or by finishing what was begun."""
    invoice_id, _, name = attempt_id.partition(":")
    key = AttemptRecord.sort_key(invoice_id, name)
    attempt = find(AttemptRecord, caller.tenant_id, key)
    if attempt is None:
        raise NotFoundError
    if attempt.status == AttemptRecord.STARTED and charges.is_recent(attempt):
        raise RequestInFlightError
    wanted = Charge(
        tenant_id=caller.tenant_id,
        invoice_id=invoice_id,
        name=name,
        actor=caller,
        waits_for_others=True,
    )
    return _outcome(caller, wanted)


def _outcome(caller: Caller, wanted: Charge) -> Invoice:
    """Carry out the charge and show the invoice, or raise why it is not paid."""
    try:
        attempt = charges.charge(wanted)
    except DiscrepancyError as error:
        raise PaymentUnderReviewError from error
    if attempt.status == AttemptRecord.FAILED:
        raise PaymentDeclinedError(attempt.failure["code"], attempt.failure["message"])
    return invoices.get(caller, wanted.invoice_id)


def _name(caller: Caller) -> str:
    """Return the attempt's name: the same for a repeated request, else a new one."""
    if caller.idempotency is None:
        return new_id(_PREFIX)
    return _PREFIX + hashlib.sha256(caller.idempotency.key.encode()).hexdigest()[:32]
