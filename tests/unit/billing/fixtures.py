"""Fixtures of all tests of billing; each folder's conftest takes them over."""

import json
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest
import stripe
from botocore.client import BaseClient

from billing import stripe_client
from billing import tables as billing_tables
from kernel import aws
from kernel import tables as kernel_tables
from sandbox import delivery, storage, webhooks
from sandbox.fake_stripe import gateway
from tests.doubles import StepFunctions
from tests.unit.billing.scenery import (
    API_KEY,
    PUBLISHABLE_KEY,
    WEBHOOK_SECRETS,
    Calls,
    Company,
    Post,
    World,
    counted,
    served_sandbox,
)

_CACHES = (stripe_client._client, stripe_client._credentials)


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with served_sandbox() as url:
        yield url


@pytest.fixture
def table_modules() -> Sequence[ModuleType]:
    return (kernel_tables, billing_tables, storage)


@pytest.fixture
def world(
    sandbox_url: str,
    tables: None,
    step_functions: StepFunctions,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Stripe's sandbox, its keys, and webhooks that are delivered when a test wants."""
    monkeypatch.setenv("STRIPE_API_BASE", sandbox_url)
    monkeypatch.setenv("STRIPE_TIMEOUT_SECONDS", "5")
    for mode, secret in WEBHOOK_SECRETS.items():
        keys_of_mode = {
            "api_key": API_KEY,
            "publishable_key": PUBLISHABLE_KEY,
            "webhook_secret": secret,
        }
        aws.client("secretsmanager").create_secret(
            Name=f"mailroom/local/stripe/{mode}", SecretString=json.dumps(keys_of_mode)
        )
    post = Post()
    monkeypatch.setattr(webhooks.outbox, "dispatcher", post.tasks.extend)
    monkeypatch.setattr(delivery, "sender", post.send)
    monkeypatch.setattr(delivery.clock, "sleep", lambda _seconds: None)
    monkeypatch.setattr(gateway, "sleep", lambda _seconds: None)
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_, **__: 0)
    webhooks.register("stripe", "https://hooks/test", WEBHOOK_SECRETS["test"], ["*"])
    yield World(sandbox_url, post)
    for cache in _CACHES:
        cache.cache_clear()


@pytest.fixture
def company(world: World) -> Company:
    """A company in the trial of an inbox plan, on a test clock."""
    return world.company()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is asked of AWS from now on."""
    seen = Calls()
    monkeypatch.setattr(BaseClient, "_make_api_call", counted(seen))
    return seen
