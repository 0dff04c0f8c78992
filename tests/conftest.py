"""What the tests of every context share: an AWS without sockets, and the tables in it."""

import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

import pytest
from moto import mock_aws
from moto.kms import models as kms_models
from moto.kms.utils import ECDSAPrivateKey

os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")

from kernel import aws, gate, settings, tokens
from kernel import tables as kernel_tables
from kernel.settings import resource_name
from tests.doubles import ACCOUNT, EventBus, StepFunctions, make_signing_key, sign_digest

P_256 = "ECC_NIST_P256"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "MAILROOM_STAGE": "local",
    "MAILROOM_ACCOUNT_ID": ACCOUNT,
    "MAILROOM_FUNCTION": "kernel/tests",
}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS, and a kernel that has seen none before."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        forget()
        yield
    forget()


@pytest.fixture
def table_modules() -> Sequence[ModuleType]:
    """The modules whose `ALL` tables exist; a context's tests override this fixture."""
    return (kernel_tables,)


@pytest.fixture
def tables(cloud: None, table_modules: Sequence[ModuleType]) -> None:
    """The tables of `table_modules`, empty."""
    for module in table_modules:
        for model in module.ALL:
            model.create_table(billing_mode="PAY_PER_REQUEST", wait=False)


@pytest.fixture
def keys(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The KMS keys: two generations of signing keys, and the key of sealed fields."""
    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign_digest)
    # moto gives symmetric keys an RSA key as well, which takes a while and is never used.
    monkeypatch.setattr(kms_models, "generate_private_key", lambda _: ECDSAPrivateKey(P_256))
    for generation in (1, 2):
        make_signing_key(generation)
    key = aws.client("kms").create_key()["KeyMetadata"]
    aws.client("kms").create_alias(
        AliasName=f"alias/{resource_name('fields')}", TargetKeyId=key["KeyId"]
    )


@pytest.fixture
def bus(cloud: None, monkeypatch: pytest.MonkeyPatch) -> EventBus:
    """The event bus; moto's needs more packages to deliver."""
    return _stand_in("events", EventBus(), monkeypatch)


@pytest.fixture
def step_functions(cloud: None, monkeypatch: pytest.MonkeyPatch) -> StepFunctions:
    """Step Functions, which moto has no task tokens for."""
    return _stand_in("stepfunctions", StepFunctions(), monkeypatch)


DoubleT = TypeVar("DoubleT")


def _stand_in(service: str, double: DoubleT, monkeypatch: pytest.MonkeyPatch) -> DoubleT:
    real = aws.client

    def client(wanted: str, **options: Any) -> Any:
        return double if wanted == service else real(wanted, **options)

    monkeypatch.setattr(aws, "client", client)
    return double


def forget() -> None:
    """Make the kernel forget what a worker keeps; only clients stay, as they are costly."""
    settings.load.cache_clear()
    tokens._public_keys.cache_clear()
    gate._TEST_MONTHS.clear()
