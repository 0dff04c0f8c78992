"""Each function with its sample events, through the real handler.

Ids, secrets and codes of the samples stand for those of a scene that is made anew.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest

from identity import (
    api_keys,
    reset_requests,
    staff,
    suspensions,
    tenants,
    two_step,
)
from identity.models.api_keys import CreateApiKey
from identity.models.auth import AddressForm
from identity.models.me import EnrolTotp
from identity.models.staff import LogInStaff
from identity.staff import Credentials
from kernel.ids import new_id
from kernel.principals import Staff
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    VISITOR,
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

pytestmark = pytest.mark.usefixtures("world")

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "events" / "identity"
FUNCTIONS = sorted(path.stem for path in (ROOT / "functions" / "identity").glob("*.py"))

ID = "01jd3v8m5ke5c8qv0m5w6r3x2y"
TENANT, KEY, SESSION = f"tnt_test_{ID}", f"key_{ID}", f"ses_{ID}"
LINK = "lnk_Zx0r5S0Y9XbUu1Oa3mB7cQeN4kT8wLhJ2vG6pDxfRiE"
REFRESH_TOKEN = json.loads(
    json.loads((SAMPLES / "refresh_session" / "session.json").read_text())["body"]
)["refresh_token"]
CODE = "492039"
STAFF_PASSWORD = "one-time-password-of-staff"

DONE: dict[str, Any] = {"batchItemFailures": []}


@dataclass
class Scene:
    """What stands in for the samples' ids and secrets, and who sends them."""

    given: dict[str, str]
    headers: dict[str, str]


def nobody(_: Wall) -> Scene:
    return Scene({}, {})


def pending(_: Wall) -> Scene:
    return Scene({LINK: register()}, {})


def owner(wall: Wall) -> Scene:
    signed_up = sign_up()
    form = {"name": "Production", "permissions": ["tenant:read"]}
    key = api_keys.create(signed_up.caller, CreateApiKey.model_validate(form))
    other = caller_of(log_in()).session_id
    given = {
        TENANT: signed_up.tenant_id,
        KEY: key.id,
        SESSION: str(other),
        REFRESH_TOKEN: signed_up.session.refresh_token,
    }
    return Scene(given, signed_up.bearer)


def forgetful(wall: Wall) -> Scene:
    sign_up()
    wall.forward(seconds=1)
    reset_requests.request_reset(VISITOR, AddressForm(email=EMAIL))
    return Scene({LINK: mailed_secret()}, {})


def enrolling(wall: Wall) -> Scene:
    signed_up = sign_up()
    form = EnrolTotp.model_validate({"password": PASSWORD})
    secret = two_step.enrol(signed_up.caller, form).secret
    return Scene({CODE: code_at(pyotp.TOTP(secret))}, signed_up.bearer)


def careful(wall: Wall) -> Scene:
    signed_up: Owner = sign_up()
    totp, _ = enable_totp(signed_up)
    wall.forward(minutes=1)
    return Scene({CODE: code_at(totp)}, signed_up.bearer)


def enrolled_staff(wall: Wall) -> Scene:
    credentials = staff.enrol("ops@mailroom.example")
    wall.forward(minutes=1)
    code = code_at(pyotp.TOTP(credentials.totp_secret))
    return Scene({STAFF_PASSWORD: credentials.password, CODE: code}, {})


def on_duty(wall: Wall) -> Scene:
    signed_up = sign_up()
    token = _sign_in(staff.enrol("ops@mailroom.example"))
    suspended_by = Staff(staff_id=new_id("stf"), session_id=new_id("ses"))
    suspensions.suspend(suspended_by, signed_up.tenant_id, "abuse", "Because.")
    return Scene({TENANT: signed_up.tenant_id}, {"Authorization": f"Bearer {token}"})


def _sign_in(credentials: Credentials) -> str:
    form = {
        "email": credentials.email,
        "password": credentials.password,
        "totp_code": code_at(pyotp.TOTP(credentials.totp_secret)),
    }
    return staff.log_in(VISITOR, LogInStaff.model_validate(form)).access_token


ENDPOINTS: dict[str, tuple[Callable[[Wall], Scene], int]] = {
    "register_account/api_starter": (nobody, 202),
    "register_account/common_password": (nobody, 422),
    "verify_email/link": (pending, 200),
    "resend_verification/pending": (pending, 202),
    "log_in/password": (owner, 200),
    "log_in/wrong_password": (owner, 401),
    "log_in/totp_code": (careful, 200),
    "refresh_session/session": (owner, 200),
    "log_out/session": (owner, 204),
    "request_password_reset/address": (owner, 202),
    "reset_password/link": (forgetful, 204),
    "get_me/owner": (owner, 200),
    "update_me/name": (owner, 200),
    "change_password/new_password": (owner, 204),
    "enroll_totp/password": (owner, 201),
    "confirm_totp/first_code": (enrolling, 200),
    "disable_totp/code": (careful, 204),
    "renew_recovery_codes/code": (careful, 200),
    "get_jwks/anybody": (nobody, 200),
    "get_tenant/owner": (owner, 200),
    "update_tenant/name": (owner, 200),
    "create_api_key/production": (owner, 201),
    "create_api_key/expiring": (owner, 201),
    "list_api_keys/first_page": (owner, 200),
    "get_api_key/production": (owner, 200),
    "revoke_api_key/production": (owner, 204),
    "rotate_api_key/grace": (owner, 200),
    "list_audit_log/first_page": (owner, 200),
    "list_audit_log/one_action": (owner, 200),
    "list_sessions/own": (owner, 200),
    "end_session/other": (owner, 204),
    "end_other_sessions/all": (owner, 204),
    "show_verification_page/browser": (nobody, 200),
    "show_reset_page/browser": (nobody, 200),
    "log_in_staff/code": (enrolled_staff, 200),
    "log_out_staff/session": (on_duty, 204),
    "list_tenants/active": (on_duty, 200),
    "inspect_tenant/acme": (on_duty, 200),
    "suspend_tenant/abuse": (on_duty, 200),
    "reactivate_tenant/abuse": (on_duty, 200),
}

BACKGROUND = {
    "apply_entitlements/trial",
    "suspend_for_payment/third_failure",
    "suspend_for_payment/trial",
    "lift_payment_suspension/settled",
    "record_key_use/two_calls",
}


def sample(name: str, given: dict[str, str]) -> dict[str, Any]:
    """Return a sample event with what stands in for its ids and secrets."""
    text = (SAMPLES / f"{name}.json").read_text()
    for written, real in given.items():
        text = text.replace(written, real)
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def run(name: str, event: dict[str, Any]) -> Any:
    return importlib.import_module(f"functions.identity.{name.partition('/')[0]}").handler(
        event, None
    )


def test_every_function_has_samples_and_every_sample_is_run() -> None:
    found = {str(path.relative_to(SAMPLES).with_suffix("")) for path in SAMPLES.glob("*/*.json")}
    assert found == BACKGROUND | set(ENDPOINTS)
    assert sorted({name.partition("/")[0] for name in found}) == FUNCTIONS


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints_answer(name: str, wall: Wall) -> None:
    wall.forward(minutes=-5)
    set_up, status = ENDPOINTS[name]
    scene = set_up(wall)
    event = sample(name, scene.given)
    event["headers"] |= {key.lower(): value for key, value in scene.headers.items()}
    answer = run(name, event)
    assert answer["statusCode"] == status, answer["body"]
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
    for secret in (PASSWORD, *scene.given.values()):
        assert not secret.startswith(("lnk_", "three")) or secret not in str(answer["body"])


def test_entitlements_are_applied_once_an_event(wall: Wall) -> None:
    scene = owner(wall)
    for _ in range(2):
        assert run("apply_entitlements", sample("apply_entitlements/trial", scene.given)) == DONE
    tenant = tenants.find(scene.given[TENANT])
    assert (tenant.plan, tenant.subscription_status) == ("api_starter", "trialing")


def test_payment_suspends_and_settling_lifts(wall: Wall) -> None:
    scene = owner(wall)
    run("suspend_for_payment", sample("suspend_for_payment/trial", scene.given))
    assert tenants.find(scene.given[TENANT]).status == "active"
    other_event = scene.given | {f"evt_{ID}": new_id("evt")}
    run("suspend_for_payment", sample("suspend_for_payment/third_failure", other_event))
    assert tenants.find(scene.given[TENANT]).status == "payment"
    run("lift_payment_suspension", sample("lift_payment_suspension/settled", scene.given))
    assert tenants.find(scene.given[TENANT]).status == "active"


def test_the_gates_stream_marks_keys(wall: Wall) -> None:
    scene = owner(wall)
    assert run("record_key_use", sample("record_key_use/two_calls", scene.given)) is None
    event = sample("get_api_key/production", scene.given)
    event["headers"] |= {key.lower(): value for key, value in scene.headers.items()}
    assert json.loads(run("get_api_key", event)["body"])["last_used_at"] is not None


@pytest.mark.parametrize(
    "body", ["", "{}", "null", "[]", '{"detail": {}}', '{"detail": {"tenant_id": 1}}']
)
@pytest.mark.parametrize(
    "name", ["apply_entitlements", "suspend_for_payment", "lift_payment_suspension"]
)
def test_a_message_that_cannot_be_read_goes_back_to_the_queue(name: str, body: str) -> None:
    event = {"Records": [{"messageId": "1", "body": body, "attributes": {}}]}
    assert run(name, event) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
