"""People, companies and a clock for the tests of identity."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pyotp
from botocore.client import BaseClient

from contracts.events import REGISTRY, Event
from identity import founding, logins, registrations, two_step, verifications
from identity.founding import Foundation
from identity.models.auth import LoggedIn, LogIn, RegisterAccount, SessionTokens, VerifyEmail
from identity.models.me import ConfirmTotp, EnrolTotp
from kernel import aws, clock, encryption
from kernel.errors import MailroomError
from kernel.ids import new_id, new_tenant_id
from kernel.permissions import of_role
from kernel.principals import Caller, Visitor
from kernel.settings import resource_name
from kernel.tables import JournalRecord
from kernel.transactions import Transaction

VISITOR = Visitor(ip="203.0.113.7", user_agent="tests", request_id="req_tests")
PASSWORD = "three unusual birds"
EMAIL = "ada@acme.example"


@dataclass
class Wall:
    """The wall clock, standing still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Calls:
    """The calls to AWS that were made, by operation, as botocore's event hook sees them."""

    made: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def listen(self, client: BaseClient) -> None:
        client.meta.events.register("before-call", self._hear)

    def _hear(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        self.made.append(model.name)
        self.requests.append(json.loads(params["body"]))

    def during(self, work: Callable[[], Any]) -> list[str]:
        """Return the operations of a piece of work in order, also of one that is refused."""
        self.made.clear()
        self.requests.clear()
        with suppress(MailroomError):
            work()
        return list(self.made)


@dataclass
class Owner:
    """A verified owner who is signed in."""

    email: str
    tenant_id: str
    user_id: str
    session: LoggedIn

    @property
    def caller(self) -> Caller:
        return caller_of(self.session)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.session.access_token}"}


def caller_of(session: SessionTokens) -> Caller:
    """Return the caller that a session's access token stands for."""
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    return Caller(
        tenant_id=claims["tid"],
        user_id=claims["sub"],
        session_id=claims["sid"],
        role=claims["role"],
        permissions=of_role(claims["role"]),
        ip=VISITOR.ip,
    )


def member_of(owner: Owner, *, role: str = "member") -> Caller:
    """Return another user of the owner's tenant."""
    return Caller(
        tenant_id=owner.tenant_id,
        user_id=new_id("usr"),
        session_id=new_id("ses"),
        role=role,
        permissions=of_role(role),
        ip=VISITOR.ip,
    )


def register(email: str = EMAIL, **fields: Any) -> str:
    """Fill in the form and return the secret that would be mailed."""
    form = {
        "company_name": "Acme Mail",
        "email": email,
        "password": PASSWORD,
        "plan": "api_starter",
        "mode": "test",
        **fields,
    }
    registrations.register(VISITOR, RegisterAccount.model_validate(form))
    return mailed_secret()


def sign_up(email: str = EMAIL, **fields: Any) -> Owner:
    """Register, verify and sign in."""
    verified = verifications.verify(VISITOR, VerifyEmail(token=register(email, **fields)))
    session = log_in(email, password=fields.get("password", PASSWORD))
    return Owner(email, verified.tenant_id, verified.user_id, session)


def log_in(email: str = EMAIL, *, password: str = PASSWORD, **fields: Any) -> LoggedIn:
    form = {"email": email, "password": password, **fields}
    return logins.log_in(VISITOR, LogIn.model_validate(form))


def enable_totp(owner: Owner) -> tuple[pyotp.TOTP, list[str]]:
    """Enrol a second factor; return the authenticator and the recovery codes."""
    enrolment = two_step.enrol(owner.caller, EnrolTotp.model_validate({"password": PASSWORD}))
    totp = pyotp.TOTP(enrolment.secret)
    codes = two_step.enable(owner.caller, ConfirmTotp(code=code_at(totp)))
    return totp, codes.recovery_codes


def code_at(totp: pyotp.TOTP, *, steps: int = 0) -> str:
    """Return the code of the present time step, or of one before or after it."""
    return totp.at(clock.wall() + timedelta(seconds=30 * steps))


def mailed_secret() -> str:
    """Return the secret of the newest event that has one."""
    for event in reversed(events()):
        sealed = getattr(event, "sealed_token", None)
        if sealed is not None:
            return encryption.open_sealed(sealed, purpose="link", subject=event.subject)
    raise AssertionError("no link was mailed")


def events(kind: type[Event] | None = None) -> list[Any]:
    """Return the events in the journal, oldest first."""
    found = [
        REGISTRY[record.event_type].model_validate_json(record.event)
        for record in journal()
        if record.event is not None
    ]
    return [event for event in found if kind is None or isinstance(event, kind)]


def journal() -> list[JournalRecord]:
    """Return all facts, oldest first."""
    return sorted(JournalRecord.scan(), key=lambda record: str(record.sk))


def items(table: str = "identity") -> list[dict[str, Any]]:
    """Return a table's items as DynamoDB has them."""
    found: list[dict[str, Any]] = aws.client("dynamodb").scan(TableName=resource_name(table))[
        "Items"
    ]
    return found


def gate_of(tenant_id: str) -> dict[str, Any]:
    """Return a tenant's gate item as DynamoDB has it."""
    return next(item for item in items("gate") if item["pk"]["S"] == tenant_id)


def found_company(mode: str = "test") -> str:
    """Make a tenant with an owner who has never signed in, quickly, and return its id."""
    tenant_id = new_tenant_id(mode)
    foundation = Foundation(
        tenant_id=tenant_id,
        company_name="Quick Company",
        mode=mode,
        plan="api_starter",
        email=f"{tenant_id}@acme.example",
        password_hash="-",
    )
    with Transaction(VISITOR, tenant_id) as transaction:
        founding.found(transaction, foundation)
    return tenant_id
