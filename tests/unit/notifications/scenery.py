"""What the tests of notifications share: an SES that fails, a clock, an event of each kind."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import botocore.session
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from contracts.billing import InvoicePaid, PaymentFailed, TrialEnding
from contracts.events import PLATFORM, Event
from contracts.identity import (
    ApiKeyCreated,
    PasswordChanged,
    PasswordResetRequested,
    RegistrationRequested,
    TenantReactivated,
    TenantRegistered,
    TenantSuspended,
)
from kernel.encryption import seal
from kernel.ids import is_test_tenant, new_id
from kernel.money import Money

OWNER: Final = "owner@acme.example"
LinkEventT = TypeVar("LinkEventT", RegistrationRequested, PasswordResetRequested)

SECRET: Final = "lnk_" + "a1" * 24
NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Ses:
    """SES v2 as far as we use it. `faults` are raised in turn; `after` ones took the mail first."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Exception] = []
        self.faults_after: list[Exception] = []
        self.calls = 0
        model = botocore.session.get_session().get_service_model("sesv2")
        self._shape: Any = model.operation_model("SendEmail").input_shape

    def send_email(self, **request: Any) -> dict[str, str]:
        self.calls += 1
        if problems := ParamValidator().validate(request, self._shape).generate_report():
            raise AssertionError(problems)
        if self.faults:
            raise self.faults.pop(0)
        self.requests.append(request)
        if self.faults_after:
            raise self.faults_after.pop(0)
        return {"MessageId": f"0100-{len(self.requests)}"}

    @property
    def subjects(self) -> list[str]:
        return [str(content(request)["Subject"]["Data"]) for request in self.requests]

    @property
    def recipients(self) -> list[str]:
        return [request["Destination"]["ToAddresses"][0] for request in self.requests]


def content(request: dict[str, Any]) -> dict[str, Any]:
    simple: dict[str, Any] = request["Content"]["Simple"]
    return simple


def ses_error(code: str, status: int = 400, message: str = "because") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "SendEmail")


class Time:
    """The real clock, standing still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


class Calls:
    """The names of the AWS operations that were called."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def take(self) -> list[str]:
        """Return the names since the last call."""
        taken, self.names = self.names, []
        return taken


def counted(calls: Calls) -> Callable[..., Any]:
    client_class: Any = BaseClient
    original = client_class._make_api_call

    def call(client: Any, operation: str, arguments: Any) -> Any:
        calls.names.append(operation)
        return original(client, operation, arguments)

    return call


def registration(known: bool = False, email: str = OWNER) -> RegistrationRequested:
    subject = new_id("reg")
    return RegistrationRequested(
        tenant_id=PLATFORM,
        occurred_at=NOON,
        subject=subject,
        email=email,
        company_name="Win a prize at evil.example",
        sealed_token=None if known else "v1.sealed",
    )


def tenant_registered(tenant_id: str, name: str = "Acme Mail") -> TenantRegistered:
    return TenantRegistered(
        tenant_id=tenant_id,
        occurred_at=NOON,
        subject=tenant_id,
        company_name=name,
        plan="api_starter",
        mode="test" if is_test_tenant(tenant_id) else "live",
        owner_id=new_id("usr"),
        owner_email=OWNER,
    )


def password_reset() -> PasswordResetRequested:
    subject = new_id("usr")
    return PasswordResetRequested(
        tenant_id=PLATFORM,
        occurred_at=NOON,
        subject=subject,
        user_id=subject,
        email=OWNER,
        sealed_token="v1.sealed",
    )


def password_changed(tenant_id: str = PLATFORM) -> PasswordChanged:
    subject = new_id("usr")
    return PasswordChanged(
        tenant_id=tenant_id, occurred_at=NOON, subject=subject, user_id=subject, email=OWNER
    )


def key_created(tenant_id: str, name: str = "Production") -> ApiKeyCreated:
    key_id = new_id("key")
    return ApiKeyCreated(
        tenant_id=tenant_id,
        occurred_at=NOON,
        subject=key_id,
        key_id=key_id,
        name=name,
        created_by=new_id("usr"),
        creator_email="developer@acme.example",
    )


def trial_ending(tenant_id: str, *, has_payment_method: bool = True) -> TrialEnding:
    return TrialEnding(
        tenant_id=tenant_id,
        occurred_at=NOON,
        subject=new_id("sub"),
        plan="api_starter",
        trial_ends_at=NOON + timedelta(days=3),
        price=Money(amount=1_000),
        has_payment_method=has_payment_method,
    )


def invoice_paid(tenant_id: str, description: str = "API Starter, December") -> InvoicePaid:
    invoice_id = new_id("inv")
    return InvoicePaid(
        tenant_id=tenant_id,
        occurred_at=NOON,
        subject=invoice_id,
        invoice_id=invoice_id,
        total=Money(amount=1_000),
        description=description,
        card="visa ending 4242",
        settles_account=True,
    )


def payment_failed(
    tenant_id: str, *, reason: str = "insufficient_funds", last: bool = False
) -> PaymentFailed:
    invoice_id = new_id("inv")
    return PaymentFailed(
        tenant_id=tenant_id,
        occurred_at=NOON,
        subject=invoice_id,
        invoice_id=invoice_id,
        total=Money(amount=1_000),
        attempt=3 if last else 1,
        reason=reason,
        next_attempt_at=None if last else NOON + timedelta(days=2),
    )


def suspended(tenant_id: str, reason: Any = "payment") -> TenantSuspended:
    return TenantSuspended(tenant_id=tenant_id, occurred_at=NOON, subject=tenant_id, reason=reason)


def reactivated(
    tenant_id: str, reason: Any = "payment", *, is_open: bool = True
) -> TenantReactivated:
    return TenantReactivated(
        tenant_id=tenant_id, occurred_at=NOON, subject=tenant_id, reason=reason, open=is_open
    )


def with_secret(event: LinkEventT) -> LinkEventT:
    """Return the event with a link's secret that can be opened; needs the fixture `keys`."""
    sealed = seal(SECRET, purpose="link", subject=event.subject)
    return event.model_copy(update={"sealed_token": sealed})


def each_event(tenant_id: str) -> Iterator[tuple[str, Event]]:
    """Yield an event for every template, with the template's name."""
    yield "verification", registration()
    yield "address_known", registration(known=True)
    yield "password_reset", password_reset()
    yield "password_changed", password_changed()
    yield "welcome", tenant_registered(tenant_id)
    yield "key_created", key_created(tenant_id)
    yield "trial_ending", trial_ending(tenant_id)
    yield "receipt", invoice_paid(tenant_id)
    yield "payment_failed", payment_failed(tenant_id)
    yield "suspended", suspended(tenant_id)
    yield "reactivated", reactivated(tenant_id)
