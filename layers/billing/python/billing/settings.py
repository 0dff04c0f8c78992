"""What billing reads from the environment."""

from pydantic import Field

from kernel.settings import Settings


class BillingSettings(Settings):
    """Settings of billing; a local or staging deployment points them at the sandbox."""

    mailroom_stage: str = "local"
    stripe_api_base: str = "https://api.stripe.com"
    stripe_timeout_seconds: float = Field(default=8.0, gt=0, le=20)
