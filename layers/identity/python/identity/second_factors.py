"""TOTP (RFC 6238: 30 s, six digits, SHA-1 as all authenticators do) and recovery codes.

The secret lies under KMS, bound to its owner. A code is accepted in its own step and one to either
side, and only once: the step of the last one is remembered. Recovery codes have 80 random bits and
are stored as SHA-256.
"""

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pyotp
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from identity.errors import TotpRequiredError
from identity.tables import StaffRecord, UserRecord
from kernel import clock, encryption
from kernel.authentication import hash_secret
from kernel.errors import MailroomError

ISSUER: Final = "Mailroom"
RECOVERY_CODES: Final = 10

_SECRET_BYTES: Final = 20
_CODE_BYTES: Final = 10
_STEP_SECONDS: Final = 30

Refusal = Callable[[], MailroomError]


@dataclass(frozen=True, slots=True)
class Use:
    """An accepted code: how its owner's record is updated to use it up, and what must hold then.

    `step` is that of a TOTP code.
    """

    actions: list[Action] = field(default_factory=list)
    condition: Condition | None = None
    step: int | None = None


def new_secret() -> str:
    """Return a new TOTP secret in base 32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal(secret: str, owner_id: str) -> str:
    """Encrypt a TOTP secret for its owner; one KMS call."""
    return encryption.seal(secret, purpose="totp", subject=owner_id)


def uri(secret: str, email: str) -> str:
    """Return the otpauth URI that authenticators read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def new_recovery_codes() -> list[str]:
    """Return new recovery codes such as `k3mh-2xqa-7vbd-n5ty`."""
    return [_recovery_code() for _ in range(RECOVERY_CODES)]


def matching_step(sealed: str, owner_id: str, code: str, *, after: float | None) -> int | None:
    """Return the time step of a code, if it fits and is later than `after`. One KMS call."""
    totp = pyotp.TOTP(encryption.open_sealed(sealed, purpose="totp", subject=owner_id))
    now = int(clock.wall().timestamp()) // _STEP_SECONDS
    for step in (now - 1, now, now + 1):
        fits = hmac.compare_digest(totp.generate_otp(step), code)
        if fits and (after is None or step > after):
            return step
    return None


def use(
    user: UserRecord, totp_code: str | None, recovery_code: str | None, refusal: Refusal
) -> Use:
    """Accept a user's code; nothing to use where no second factor is enabled.

    Raises TotpRequiredError without a code, and what `refusal` makes for a wrong one. One KMS call
    for a TOTP code.
    """
    if user.totp_sealed is None:
        return Use()
    if totp_code is not None:
        return _use_totp(user, user.user_id, totp_code, refusal)
    if recovery_code is None:
        raise TotpRequiredError
    code_hash = hash_secret(recovery_code)
    if code_hash not in (user.recovery_hashes or ()):
        raise refusal()
    still_there = UserRecord.recovery_hashes.contains(code_hash)
    return Use([UserRecord.recovery_hashes.delete({code_hash})], still_there)


def use_any(user: UserRecord, code: str, refusal: Refusal) -> Use:
    """Accept a code of either kind."""
    if code.isdigit():
        return use(user, code, None, refusal)
    return use(user, None, code, refusal)


def use_of_staff(staff: StaffRecord, totp_code: str, refusal: Refusal) -> Use:
    """Accept the code of a member of staff. One KMS call."""
    return _use_totp(staff, staff.staff_id, totp_code, refusal)


def _use_totp(record: UserRecord | StaffRecord, owner_id: str, code: str, refusal: Refusal) -> Use:
    sealed, model = str(record.totp_sealed), type(record)
    step = matching_step(sealed, owner_id, code, after=record.totp_step)
    if step is None:
        raise refusal()
    unused = model.totp_step.does_not_exist() | (model.totp_step < step)
    return Use([model.totp_step.set(step)], unused & (model.totp_sealed == sealed), step)


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
