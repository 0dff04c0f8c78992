"""GET /v1/payment-methods/{id}: show a saved card."""

from billing import payment_methods
from billing.errors import PaymentMethodNotFoundError
from billing.models import PaymentMethod, PaymentMethodPath
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "GET",
    "/v1/payment-methods/{payment_method_id}",
    permission="billing:read",
    access=Access.CURE,
    errors=(PaymentMethodNotFoundError,),
)
def handler(caller: Caller, payment_method_id: PaymentMethodPath) -> PaymentMethod:
    """Return one card."""
    return payment_methods.get(caller, payment_method_id)
