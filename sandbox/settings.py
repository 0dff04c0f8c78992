"""What the environment tells the sandbox; README.md lists the variables."""

import os

STAGE = os.environ.get("MAILROOM_STAGE", "local")
REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
TABLE_NAME = f"mailroom-{STAGE}-sandbox"


def control_token() -> str:
    """The token that guards the control API; empty switches the control API off."""
    return os.environ.get("SANDBOX_CONTROL_TOKEN", "")


def stripe_keys() -> frozenset[str]:
    """The Stripe keys that are accepted; empty accepts every well-formed test key."""
    listed = os.environ.get("SANDBOX_STRIPE_KEYS", "")
    return frozenset(key.strip() for key in listed.split(",") if key.strip())


def function_name() -> str | None:
    """The name of the Lambda function we run in, or None outside Lambda."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME")


def webhook_timeout_seconds() -> float:
    """How long one webhook delivery may take."""
    return float(os.environ.get("SANDBOX_WEBHOOK_TIMEOUT_SECONDS", "10"))


def webhook_retry_seconds() -> tuple[float, ...]:
    """The waits before each repeated delivery of a webhook that was not answered by 2xx."""
    listed = os.environ.get("SANDBOX_WEBHOOK_RETRY_SECONDS", "1,5")
    return tuple(float(wait) for wait in listed.split(",") if wait.strip())
