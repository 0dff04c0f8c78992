"""The platform's own staff: a realm of its own, with a second factor that is not optional.

Sessions last for half an hour and cannot be refreshed, so nothing is stored of them; ending one
writes `revoked.<session>` into the platform's own gate item.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Final

from identity import attempts, passwords, second_factors
from identity.addresses import digest
from identity.entitlements import USER_LIMITS
from identity.errors import InvalidCredentialsError
from identity.models.staff import LogInStaff, StaffLoggedIn
from identity.sessions import revoke
from identity.tables import AttemptsRecord, IdentityTable, StaffRecord
from kernel import clock, tokens
from kernel.authentication import PLATFORM_GATE
from kernel.gate import ACTIVE
from kernel.ids import new_id
from kernel.principals import Staff, System, Visitor
from kernel.tables import GateRecord, find
from kernel.transactions import Transaction

SESSION_SECONDS: Final = 1_800

_PASSWORD_BYTES: Final = 18


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a member of staff signs in with; shown once, to whoever enrols them."""

    email: str
    password: str
    totp_secret: str


def log_in(visitor: Visitor, body: LogInStaff) -> StaffLoggedIn:
    """Sign a member of staff in. One query, one write, one transaction.

    An unknown address, a wrong password and a wrong code cannot be told apart.
    """
    partition = StaffRecord.partition(digest(body.email))
    records = IdentityTable.of_partition(partition)
    known = next((item for item in records if isinstance(item, AttemptsRecord)), None)
    record = next((item for item in records if isinstance(item, StaffRecord)), None)
    attempt = attempts.begin(partition, known)
    password_hash = record.password_hash if record else passwords.NOBODYS_HASH
    if not passwords.verify(body.password.get_secret_value(), password_hash) or record is None:
        raise InvalidCredentialsError
    use = second_factors.use_of_staff(record, body.totp_code, InvalidCredentialsError)
    session_id = new_id("ses")
    staff = Staff(
        **asdict(visitor), staff_id=record.staff_id, session_id=session_id, role=record.role
    )
    claims = {"sub": record.staff_id, "sid": session_id, "role": record.role}
    access_token = tokens.sign("staff", claims, lifetime_seconds=SESSION_SECONDS)
    with Transaction(staff) as transaction:
        transaction.update(
            record,
            use.actions,
            condition=use.condition,
            conflict=InvalidCredentialsError(),
        )
        attempt.forgive(transaction)
        transaction.note("identity.staff_signed_in", record.staff_id, {"session": session_id})
    return StaffLoggedIn(
        access_token=access_token,
        expires_in=SESSION_SECONDS,
        staff_id=record.staff_id,
        role=record.role,
    )


def log_out(staff: Staff) -> None:
    """End the session. One transaction."""
    with Transaction(staff) as transaction:
        revoke(transaction, PLATFORM_GATE, [staff.session_id])
        transaction.note("identity.staff_signed_out", staff.session_id)


def enrol(email: str, *, role: str = "operator") -> Credentials:
    """Make a member of staff, or give one new credentials; for operators with AWS credentials.

    Two reads, one transaction, one KMS call. Sessions of earlier credentials end.
    """
    partition = StaffRecord.partition(digest(email))
    known = find(StaffRecord, partition, StaffRecord.SK)
    staff_id = known.staff_id if known else new_id("stf")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    totp_secret = second_factors.new_secret()
    record = StaffRecord(
        partition,
        StaffRecord.SK,
        staff_id=staff_id,
        email=email,
        role=role,
        password_hash=passwords.hash_password(password),
        totp_sealed=second_factors.seal(totp_secret, staff_id),
        created_at=known.created_at if known else clock.wall(),
    )
    gate_exists = find(GateRecord, PLATFORM_GATE, "GATE") is not None
    with Transaction(System(name="identity/enrol_staff")) as transaction:
        transaction.save(record)
        if gate_exists:
            revoke(transaction, PLATFORM_GATE, [staff_id])
        else:
            gate = GateRecord.for_tenant(PLATFORM_GATE, status=ACTIVE, **USER_LIMITS)
            transaction.create(gate)
        transaction.delete(AttemptsRecord(partition, AttemptsRecord.SK))
        transaction.note("identity.staff_enrolled", staff_id, {"role": role})
    return Credentials(email, password, totp_secret)
