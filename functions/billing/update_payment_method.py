"""PATCH /v1/payment-methods/{id}: make a saved card the default, which is charged by itself."""

from billing import payment_methods
from billing.errors import PaymentMethodNotFoundError
from billing.models import PaymentMethod, PaymentMethodPath, UpdatePaymentMethod
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "PATCH",
    "/v1/payment-methods/{payment_method_id}",
    permission="billing:write",
    access=Access.CURE,
    errors=(PaymentMethodNotFoundError,),
)
def handler(
    caller: Caller,
    payment_method_id: PaymentMethodPath,
    body: UpdatePaymentMethod,  # noqa: ARG001 - there is one thing that it can say
) -> PaymentMethod:
    """Make the card the default."""
    return payment_methods.make_default(caller, payment_method_id)
