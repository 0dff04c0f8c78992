"""DELETE /v1/payment-methods/{id}: remove a saved card, here and at Stripe."""

from billing import payment_methods
from billing.errors import PaymentMethodNotFoundError, StripeUnavailableError
from billing.models import PaymentMethodPath
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "DELETE",
    "/v1/payment-methods/{payment_method_id}",
    permission="billing:write",
    status=204,
    access=Access.CURE,
    errors=(PaymentMethodNotFoundError, StripeUnavailableError),
)
def handler(caller: Caller, payment_method_id: PaymentMethodPath) -> None:
    """Remove the card."""
    payment_methods.remove(caller, payment_method_id)
