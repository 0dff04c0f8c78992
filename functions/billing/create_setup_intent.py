"""POST /v1/setup-intents: begin to save a card with Stripe.js, for charges without its holder."""

from billing import setup_intents
from billing.errors import AccountNotReadyError, StripeUnavailableError
from billing.models import SetupIntent
from kernel.gate import Access
from kernel.http import endpoint
from kernel.principals import Caller


@endpoint(
    "POST",
    "/v1/setup-intents",
    permission="billing:write",
    status=201,
    access=Access.CURE,
    replay=setup_intents.replay,
    errors=(AccountNotReadyError, StripeUnavailableError),
)
def handler(caller: Caller) -> SetupIntent:
    """Create a SetupIntent."""
    return setup_intents.create(caller)
