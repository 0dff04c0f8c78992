"""Short secrets and sensitive fields, encrypted by KMS and bound to what they belong to.

The encryption context is authenticated, not secret: a value sealed for one tenant and field opens
for no other (https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html).
"""

import base64
import binascii
from typing import Final

from botocore.exceptions import ClientError

from kernel import aws
from kernel.settings import resource_name

_PREFIX: Final = "v1."
_MAXIMUM_BYTES: Final = 4_096
_BROKEN: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class SealBrokenError(Exception):
    """A sealed value was damaged, or belongs to something else than the context says."""


def seal(value: str, **context: str) -> str:
    """Encrypt a value of at most 4 KB for a context such as `tenant=…, field=…`; one KMS call."""
    plaintext = value.encode()
    if not context or len(plaintext) > _MAXIMUM_BYTES:
        raise ValueError(f"A seal needs a context and a value of at most {_MAXIMUM_BYTES} bytes")
    response = aws.client("kms").encrypt(
        KeyId=_key(), Plaintext=plaintext, EncryptionContext=context
    )
    return _PREFIX + base64.urlsafe_b64encode(response["CiphertextBlob"]).decode()


def open_sealed(sealed: str, **context: str) -> str:
    """Decrypt what `seal` made for the same context; raises SealBrokenError. One KMS call."""
    if not sealed.startswith(_PREFIX):
        raise SealBrokenError("The value was not sealed")
    try:
        blob = base64.b64decode(sealed.removeprefix(_PREFIX), b"-_", validate=True)
        response = aws.client("kms").decrypt(
            KeyId=_key(), CiphertextBlob=blob, EncryptionContext=context
        )
    except (binascii.Error, ValueError) as error:
        raise SealBrokenError("The value is damaged") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in _BROKEN:
            raise
        raise SealBrokenError("The value does not belong to this context") from error
    plaintext: bytes = response["Plaintext"]
    return plaintext.decode()


def _key() -> str:
    return f"alias/{resource_name('fields')}"
