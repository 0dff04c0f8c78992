"""How often each operation calls DynamoDB and KMS, as its docstring says; in the order of calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest

from contracts.billing import Entitlements, InvoicePaid, SubscriptionChanged
from functions.identity import get_me, get_tenant
from functions.identity import log_in as log_in_function
from identity import (
    api_keys,
    audit_log,
    entitlements,
    password_changes,
    profiles,
    registrations,
    reset_requests,
    sessions,
    signing_keys,
    staff,
    staff_tenants,
    suspensions,
    tenants,
    two_step,
    verifications,
)
from identity.audit_log import Filter
from identity.models.api_keys import ApiKeyIssued, CreateApiKey, RotateApiKey
from identity.models.auth import (
    AddressForm,
    RefreshSession,
    RegisterAccount,
    ResetPassword,
    VerifyEmail,
)
from identity.models.me import ChangePassword, ConfirmIdentity, ConfirmTotp, EnrolTotp, UpdateMe
from identity.models.staff import LogInStaff
from identity.models.tenants import UpdateTenant
from identity.staff import Credentials
from kernel import clock
from kernel.ids import new_id
from kernel.money import Money
from kernel.principals import Caller, Staff
from tests.callers import call
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    VISITOR,
    Calls,
    Owner,
    Wall,
    caller_of,
    code_at,
    enable_totp,
    log_in,
    mailed_secret,
    register,
    sign_up,
)

GET, QUERY, PUT, UPDATE, BATCH = "GetItem", "Query", "PutItem", "UpdateItem", "BatchGetItem"
WRITE = "TransactWriteItems"
SIGN, SEAL, OPEN = "Sign", "Encrypt", "Decrypt"

STAFF = Staff(staff_id=new_id("stf"), session_id=new_id("ses"))


@dataclass
class Scene:
    """A live tenant, its owner, a second session, a key, links and a member of staff."""

    owner: Owner
    totp: pyotp.TOTP
    codes: list[str]
    other_session: str
    key: ApiKeyIssued
    verification: str
    reset: str
    staff: Credentials

    @property
    def caller(self) -> Caller:
        return self.owner.caller


@pytest.fixture
def scene(world: None, wall: Wall) -> Scene:
    return make_scene(wall, "live")


def make_scene(wall: Wall, mode: str) -> Scene:
    wall.forward(minutes=-30)
    owner = sign_up(mode=mode)
    totp, codes = enable_totp(owner)
    form = {"name": "Key", "permissions": ["tenant:read"]}
    key = api_keys.create(owner.caller, CreateApiKey.model_validate(form))
    other = str(caller_of(log_in(recovery_code=codes[0])).session_id)
    verification = register("pending@acme.example", mode=mode)
    wall.forward(seconds=1)
    reset_requests.request_reset(VISITOR, AddressForm(email=EMAIL))
    credentials = staff.enrol("ops@mailroom.example")
    secret = mailed_secret()
    wall.forward(minutes=1)
    signing_keys.publish()
    return Scene(owner, totp, codes, other, key, verification, secret, credentials)


def _subscription(scene: Scene, status: str) -> SubscriptionChanged:
    return SubscriptionChanged.model_validate(
        {
            "tenant_id": scene.owner.tenant_id,
            "occurred_at": clock.wall(),
            "subject": "sub_1",
            "plan": "api_starter",
            "status": status,
            "entitlements": Entitlements(),
        }
    )


def _paid(scene: Scene) -> InvoicePaid:
    return InvoicePaid(
        tenant_id=scene.owner.tenant_id,
        occurred_at=clock.wall(),
        subject="inv_1",
        invoice_id="inv_1",
        total=Money(amount=1_000),
        description="A month",
        settles_account=True,
    )


def _register(email: str) -> Any:
    form = {"company_name": "New", "email": email, "password": PASSWORD, "plan": "api_free"}
    return registrations.register(VISITOR, RegisterAccount.model_validate(form))


def _new_key(scene: Scene) -> Any:
    form = {"name": "Second", "permissions": ["tenant:read"]}
    return api_keys.create(scene.caller, CreateApiKey.model_validate(form))


def _change_password(scene: Scene) -> Any:
    form = {"current_password": PASSWORD, "new_password": "four unusual birds"}
    return password_changes.change(scene.caller, ChangePassword.model_validate(form))


def _reset_password(scene: Scene) -> Any:
    form = {"token": scene.reset, "new_password": "four unusual birds"}
    return password_changes.reset(VISITOR, ResetPassword.model_validate(form))


def _log_in_staff(scene: Scene) -> Any:
    form = {
        "email": scene.staff.email,
        "password": scene.staff.password,
        "totp_code": code_at(pyotp.TOTP(scene.staff.totp_secret)),
    }
    return staff.log_in(VISITOR, LogInStaff.model_validate(form))


def _identity(scene: Scene) -> ConfirmIdentity:
    code = code_at(scene.totp)
    return ConfirmIdentity.model_validate({"password": PASSWORD, "code": code})


def _refresh(scene: Scene) -> Any:
    body = RefreshSession(refresh_token=scene.owner.session.refresh_token)
    return sessions.refresh(VISITOR, body)


OPERATIONS: dict[str, tuple[Callable[[Scene], Any], list[str]]] = {
    "register": (lambda _: _register("new@acme.example"), [QUERY, SEAL, WRITE]),
    "resend": (
        lambda _: verifications.resend(VISITOR, AddressForm(email="pending@acme.example")),
        [QUERY, QUERY, SEAL, WRITE],
    ),
    "verify": (
        lambda scene: verifications.verify(VISITOR, VerifyEmail(token=scene.verification)),
        [GET, GET, WRITE],
    ),
    "log in with a code": (
        lambda scene: log_in(totp_code=code_at(scene.totp)),
        [QUERY, PUT, QUERY, OPEN, GET, SIGN, WRITE],
    ),
    "log in with a recovery code": (
        lambda scene: log_in(recovery_code=scene.codes[1]),
        [QUERY, PUT, QUERY, GET, SIGN, WRITE],
    ),
    "log in without the code": (lambda _: log_in(), [QUERY, PUT, QUERY, "DeleteItem"]),
    "log in with a wrong password": (lambda _: log_in(password="x"), [QUERY, PUT, QUERY]),
    "refresh": (_refresh, [QUERY, UPDATE, SIGN]),
    "log out": (lambda scene: sessions.log_out(scene.caller), [WRITE]),
    "list sessions": (lambda scene: sessions.list_own(scene.caller), [QUERY]),
    "end a session": (
        lambda scene: sessions.end_one(scene.caller, scene.other_session),
        [GET, WRITE],
    ),
    "end other sessions": (lambda scene: sessions.end_others(scene.caller), [QUERY, WRITE]),
    "request a reset": (
        lambda _: reset_requests.request_reset(VISITOR, AddressForm(email=EMAIL)),
        [QUERY, SEAL, WRITE],
    ),
    "reset a password": (_reset_password, [GET, QUERY, WRITE]),
    "change a password": (_change_password, [QUERY, QUERY, PUT, WRITE]),
    "enable a second factor": (
        lambda scene: two_step.enable(scene.caller, ConfirmTotp(code="123456")),
        [QUERY],
    ),
    "disable a second factor": (
        lambda scene: two_step.disable(scene.caller, _identity(scene)),
        [QUERY, QUERY, PUT, OPEN, WRITE],
    ),
    "renew recovery codes": (
        lambda scene: two_step.renew_recovery_codes(scene.caller, _identity(scene)),
        [QUERY, QUERY, PUT, OPEN, WRITE],
    ),
    "read me": (lambda scene: profiles.read(scene.caller), [QUERY, BATCH]),
    "update me": (
        lambda scene: profiles.update(scene.caller, UpdateMe(name="Ada")),
        [WRITE, QUERY, BATCH],
    ),
    "read a tenant": (lambda scene: tenants.read(scene.caller), [GET]),
    "update a tenant": (
        lambda scene: tenants.update(scene.caller, UpdateTenant(company_name="New", version=1)),
        [WRITE, GET],
    ),
    "create a key": (_new_key, [QUERY, WRITE]),
    "list keys": (lambda scene: api_keys.list_page(scene.caller, 25, None), [QUERY]),
    "read a key": (lambda scene: api_keys.read(scene.caller, scene.key.id), [GET]),
    "revoke a key": (lambda scene: api_keys.revoke(scene.caller, scene.key.id), [GET, WRITE]),
    "rotate a key": (
        lambda scene: api_keys.rotate(scene.caller, scene.key.id, RotateApiKey(grace_seconds=60)),
        [GET, QUERY, WRITE],
    ),
    "read the audit log": (
        lambda scene: audit_log.list_page(scene.caller, Filter(), 25, None),
        [QUERY],
    ),
    "publish signing keys": (lambda _: signing_keys.publish(), []),
    "log in as staff": (_log_in_staff, [QUERY, PUT, OPEN, SIGN, WRITE]),
    "log out as staff": (lambda _: staff.log_out(STAFF), [WRITE]),
    "list tenants": (
        lambda _: staff_tenants.list_page(STAFF, "active", 25, None),
        [QUERY, WRITE],
    ),
    "inspect a tenant": (
        lambda scene: staff_tenants.read(STAFF, scene.owner.tenant_id),
        [GET, QUERY, WRITE],
    ),
    "suspend": (
        lambda scene: suspensions.suspend(STAFF, scene.owner.tenant_id, "abuse", "Because."),
        [GET, WRITE],
    ),
    "apply entitlements": (
        lambda scene: entitlements.apply(_subscription(scene, "active")),
        [WRITE],
    ),
    "suspend for payment": (
        lambda scene: suspensions.suspend_for_payment(_subscription(scene, "suspended")),
        [GET, WRITE],
    ),
    "pass over another state": (
        lambda scene: suspensions.suspend_for_payment(_subscription(scene, "active")),
        [],
    ),
    "lift for payment": (
        lambda scene: suspensions.lift_for_payment(_paid(scene)),
        [GET, WRITE],
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_makes_these_calls(name: str, scene: Scene, calls: Calls) -> None:
    operation, expected = OPERATIONS[name]
    assert calls.during(lambda: operation(scene)) == expected


def test_enrolling_a_second_factor_makes_these_calls(world: None, calls: Calls) -> None:
    owner = sign_up()
    body = EnrolTotp.model_validate({"password": PASSWORD})
    assert calls.during(lambda: two_step.enrol(owner.caller, body)) == [
        QUERY,
        QUERY,
        PUT,
        SEAL,
        WRITE,
    ]


def test_confirming_a_second_factor_makes_these_calls(world: None, calls: Calls) -> None:
    owner = sign_up()
    enrolment = two_step.enrol(owner.caller, EnrolTotp.model_validate({"password": PASSWORD}))
    body = ConfirmTotp(code=code_at(pyotp.TOTP(enrolment.secret)))
    assert calls.during(lambda: two_step.enable(owner.caller, body)) == [QUERY, OPEN, WRITE]


def test_enrolling_staff_makes_these_calls(world: None, calls: Calls) -> None:
    made = calls.during(lambda: staff.enrol("ops@mailroom.example"))
    assert made == [GET, SEAL, GET, WRITE]


def test_a_test_tenant_costs_a_read_of_its_clock_more(
    world: None, wall: Wall, calls: Calls
) -> None:
    scene = make_scene(wall, "test")
    assert calls.during(lambda: _new_key(scene)) == [QUERY, GET, WRITE]


def test_a_signed_in_request_costs_one_call_before_the_handler(world: None, calls: Calls) -> None:
    owner = sign_up(mode="live")
    call(get_tenant.handler, headers=owner.bearer)
    assert calls.during(lambda: call(get_tenant.handler, headers=owner.bearer)) == [UPDATE, GET]
    assert calls.during(lambda: call(get_me.handler, headers=owner.bearer)) == [
        UPDATE,
        QUERY,
        BATCH,
    ]


def test_a_request_with_a_key_costs_two(world: None, calls: Calls) -> None:
    owner = sign_up(mode="live")
    form = {"name": "Key", "permissions": ["tenant:read"]}
    key = api_keys.create(owner.caller, CreateApiKey.model_validate(form))
    made = calls.during(lambda: call(get_tenant.handler, headers={"X-API-Key": str(key.secret)}))
    assert made == [GET, UPDATE, GET]


def test_a_public_request_costs_two_for_its_limits(world: None, calls: Calls) -> None:
    body = {"email": "nobody@acme.example", "password": "x"}
    made = calls.during(lambda: call(log_in_function.handler, body=body))
    assert made == [UPDATE, UPDATE, QUERY, PUT, QUERY]
