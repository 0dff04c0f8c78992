"""An emulator with identity's tables and keys, and this process pointed at it."""

from collections.abc import Iterator

import pytest

from identity import tables as identity_tables
from kernel import aws
from kernel import tables as kernel_tables
from kernel.settings import resource_name
from local.emulator import Emulator
from local.settings import Home
from local.shared import free_port
from tests.conftest import forget
from tests.doubles import make_signing_key


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator without anything in it."""
    emulator = Emulator(free_port(), Home(tmp_path_factory.mktemp("identity")))
    emulator.start()
    yield emulator.url
    emulator.stop()


@pytest.fixture
def world(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables and keys, which outlive a test; tests use addresses of their own."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    forget()
    if not aws.client("dynamodb").list_tables()["TableNames"]:
        _create()
    yield
    forget()


def _create() -> None:
    for model in (*kernel_tables.ALL, *identity_tables.ALL):
        model.create_table(billing_mode="PAY_PER_REQUEST", wait=True)
    for generation in (1, 2):
        make_signing_key(generation)
    key = aws.client("kms").create_key()["KeyMetadata"]
    alias = f"alias/{resource_name('fields')}"
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
