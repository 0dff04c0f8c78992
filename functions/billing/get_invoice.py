"""GET /v1/invoices/{id}: show an invoice: its lines, and whether and how it was paid."""

from billing import invoices
from billing.errors import InvoiceNotFoundError
from billing.models import Invoice, InvoicePath
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "GET",
    "/v1/invoices/{invoice_id}",
    permission="billing:read",
    access=Access.CURE,
    errors=(InvoiceNotFoundError,),
)
def handler(caller: Caller, invoice_id: InvoicePath) -> Invoice:
    """Return one invoice."""
    return invoices.get(caller, invoice_id)
