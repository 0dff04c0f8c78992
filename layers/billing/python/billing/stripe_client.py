"""Stripe's client for a mode, its credentials, and what its errors mean.

Each call has a timeout below the Lambda's and at most one repetition, which carries the same
Idempotency-Key.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, Literal

import stripe
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from billing import alarms
from billing.errors import StripeMisconfiguredError, StripeUnavailableError
from billing.settings import BillingSettings
from kernel import aws
from kernel.ids import is_test_tenant
from kernel.settings import load

Mode = Literal["live", "test"]

MODES: Final[tuple[Mode, ...]] = ("live", "test")

_CONNECT_SECONDS: Final = 3.05
_NETWORK_RETRIES: Final = 1
_CREDENTIALS_SECONDS: Final = 300


class StripeCredentials(BaseModel):
    """The secret `mailroom/<stage>/stripe/<mode>`."""

    api_key: str
    publishable_key: str
    webhook_secret: str


def mode_of(tenant_id: str) -> Mode:
    """Return with which of the platform's two sets of keys a tenant is served."""
    return "test" if is_test_tenant(tenant_id) else "live"


def credentials(mode: Mode) -> StripeCredentials:
    """Return a mode's credentials, read from Secrets Manager every five minutes of a worker."""
    return _credentials(mode, int(time.monotonic()) // _CREDENTIALS_SECONDS)


def client(mode: Mode) -> stripe.V1Services:
    """Return the client of a mode's account."""
    return _client(credentials(mode).api_key).v1


@contextmanager
def outcomes() -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except (
        stripe.AuthenticationError,
        stripe.PermissionError,
        stripe.InvalidRequestError,
        stripe.IdempotencyError,
    ) as error:
        if isinstance(error, stripe.AuthenticationError):
            _credentials.cache_clear()
        alarms.sound("StripeMisconfigured", "Stripe refused a request", reason=_reason(error))
        raise StripeMisconfiguredError(_reason(error)) from error
    except (stripe.StripeError, json.JSONDecodeError) as error:
        raise StripeUnavailableError(f"Stripe gave no result: {_reason(error)}.") from error


@cache
def _credentials(mode: Mode, epoch: int) -> StripeCredentials:  # noqa: ARG001 - ends the cache
    stage = load(BillingSettings).mailroom_stage
    try:
        response = aws.client("secretsmanager").get_secret_value(
            SecretId=f"mailroom/{stage}/stripe/{mode}"
        )
        found = StripeCredentials.model_validate_json(response["SecretString"])
    except BotoCoreError as error:
        raise StripeUnavailableError("The payment provider's keys cannot be read.") from error
    except (ClientError, ValidationError):
        alarms.sound("StripeMisconfigured", "The Stripe secret cannot be read", mode=mode)
        raise StripeMisconfiguredError(f"The secret of Stripe's {mode} mode is wrong") from None
    if _is_of_other_mode(found.api_key, mode, stage):
        alarms.sound("StripeMisconfigured", "A Stripe key is of the other mode", mode=mode)
        raise StripeMisconfiguredError(f"The key of Stripe's {mode} mode is of the other mode")
    return found


def _is_of_other_mode(api_key: str, mode: Mode, stage: str) -> bool:
    """Tell whether a key must not be used: live keys for tests, test keys in production."""
    is_live_key = api_key.startswith(("sk_live_", "rk_live_"))
    return is_live_key if mode == "test" else stage == "production" and not is_live_key


@cache
def _client(api_key: str) -> stripe.StripeClient:
    settings = load(BillingSettings)
    timeout = (_CONNECT_SECONDS, settings.stripe_timeout_seconds)
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": settings.stripe_api_base},
        max_network_retries=_NETWORK_RETRIES,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


def _reason(error: Exception) -> str:
    """Return an error's type, status and code; its message may quote what we sent."""
    parts = (type(error).__name__, *(getattr(error, name, "") for name in ("http_status", "code")))
    return " ".join(str(part) for part in parts if part)
