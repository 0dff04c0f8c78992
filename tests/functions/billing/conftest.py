"""The fixtures of billing, the tenant of the sample events, and signatures as KMS makes them."""

from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.utils import ECDSAPrivateKey

from kernel.tables import GateRecord
from tests.unit.billing.fixtures import *  # noqa: F403
from tests.unit.billing.scenery import NOON, Company, World

TENANT: Final = "tnt_test_01jd3v8m5ke5c8qv0m5w6r3x2y"


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS signs a digest as it is; moto would hash it again."""

    def sign(key: Any, message: bytes, _algorithm: str) -> Any:
        return key.private_key.sign(message, ec.ECDSA(Prehashed(hashes.SHA256())))

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign)


@pytest.fixture
def tenant(world: World, keys: None, digests: None) -> Company:
    """The tenant of the samples, which exists for identity only."""
    gate = {"status": "active", "limit_user_minute": 100, "limit_tenant_minute": 1_000}
    GateRecord.for_tenant(TENANT, **gate).save()
    company = Company(world, TENANT)
    company.set_clock(NOON)
    return company
