import pytest

from kernel import encryption
from kernel.encryption import SealBrokenError

pytestmark = pytest.mark.usefixtures("keys")


def test_opens_for_the_context_that_it_was_sealed_for() -> None:
    sealed = encryption.seal("lnk_secret", purpose="link", subject="reg_1")

    assert "lnk_secret" not in sealed
    assert encryption.open_sealed(sealed, purpose="link", subject="reg_1") == "lnk_secret"


def test_opens_for_no_other_context() -> None:
    sealed = encryption.seal("123-45-6789", tenant="tnt_1", field="ssn")

    with pytest.raises(SealBrokenError):
        encryption.open_sealed(sealed, tenant="tnt_2", field="ssn")
    with pytest.raises(SealBrokenError):
        encryption.open_sealed(sealed, tenant="tnt_1")


@pytest.mark.parametrize("damaged", ["", "v1.", "v1.!!!!", "v1.AAAA", "v2.AAAA", "plain text"])
def test_refuses_what_is_no_seal(damaged: str) -> None:
    with pytest.raises(SealBrokenError):
        encryption.open_sealed(damaged, purpose="link")


def test_refuses_a_seal_without_context_or_beyond_what_kms_takes() -> None:
    with pytest.raises(ValueError, match="context"):
        encryption.seal("secret")
    with pytest.raises(ValueError, match="4096 bytes"):
        encryption.seal("x" * 4097, purpose="link")
