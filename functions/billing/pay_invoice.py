"""POST /v1/invoices/{id}/pay: charge a saved card for an open invoice, at once."""

from billing import cures
from billing.errors import (
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    PaymentDeclinedError,
    PaymentMethodMissingError,
    PaymentUnderReviewError,
    StripeUnavailableError,
)
from billing.models import Invoice, InvoicePath, PayInvoice
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/invoices/{invoice_id}/pay",
    permission="billing:write",
    access=Access.CURE,
    replay=cures.replay,
    errors=(
        InvoiceNotFoundError,
        InvoiceNotPayableError,
        PaymentDeclinedError,
        PaymentMethodMissingError,
        PaymentUnderReviewError,
        StripeUnavailableError,
    ),
)
def handler(caller: Caller, invoice_id: InvoicePath, body: PayInvoice) -> Invoice:
    """Pay the invoice."""
    return cures.pay(caller, invoice_id, body)
