"""The fixtures of notifications, and signatures as KMS makes them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.utils import ECDSAPrivateKey

from tests.unit.notifications.fixtures import *  # noqa: F403


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS signs a digest as it is; moto would hash it again."""

    def sign(key: Any, message: bytes, _algorithm: str) -> Any:
        return key.private_key.sign(message, ec.ECDSA(Prehashed(hashes.SHA256())))

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign)
