"""What endpoints do with requests that are wrong, not allowed, or repeated."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from identity import staff, suspensions
from identity.tables import MembershipRecord
from kernel import gate
from kernel.errors import TenantSuspendedError
from kernel.gate import Access
from kernel.ids import new_id
from kernel.principals import Caller, Staff
from tests.callers import Answer, bearer, call
from tests.unit.identity.scenery import EMAIL, PASSWORD, Owner, events, items, sign_up

pytestmark = pytest.mark.usefixtures("world")

ROOT = Path(__file__).resolve().parents[3]
HANDLERS: dict[str, Any] = {
    path.stem: importlib.import_module(f"functions.identity.{path.stem}").handler
    for path in sorted((ROOT / "functions" / "identity").glob("*.py"))
}
ENDPOINTS = {name: handler for name, handler in HANDLERS.items() if handler.kind == "endpoint"}
ID = "01jd3v8m5ke5c8qv0m5w6r3x2y"
PATH_IDS = {"{key_id}": f"key_{ID}", "{session_id}": f"ses_{ID}", "{tenant_id}": f"tnt_{ID}"}
STAFF = Staff(staff_id=new_id("stf"), session_id=new_id("ses"))

BODIES: dict[str, dict[str, Any]] = {
    "register_account": {
        "company_name": "Acme Mail",
        "email": EMAIL,
        "password": PASSWORD,
        "plan": "api_starter",
    },
    "verify_email": {"token": "lnk_" + "A" * 43},
    "resend_verification": {"email": EMAIL},
    "log_in": {"email": EMAIL, "password": PASSWORD},
    "refresh_session": {"refresh_token": "rt_x"},
    "request_password_reset": {"email": EMAIL},
    "reset_password": {"token": "lnk_" + "A" * 43, "new_password": "four unusual birds"},
    "update_me": {"name": "Ada"},
    "change_password": {"current_password": PASSWORD, "new_password": "four unusual birds"},
    "enroll_totp": {"password": PASSWORD},
    "confirm_totp": {"code": "123456"},
    "disable_totp": {"password": PASSWORD, "code": "123456"},
    "renew_recovery_codes": {"password": PASSWORD, "code": "123456"},
    "update_tenant": {"company_name": "Acme", "version": 1},
    "create_api_key": {"name": "Key", "permissions": ["tenant:read"]},
    "rotate_api_key": {"grace_seconds": 0},
    "log_in_staff": {"email": EMAIL, "password": "x", "totp_code": "123456"},
    "suspend_tenant": {"reason": "abuse", "note": "Because."},
    "reactivate_tenant": {"reason": "abuse"},
}
WITH_BODY = sorted(BODIES)


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def ask(name: str, **request: Any) -> Answer:
    endpoint = ENDPOINTS[name]
    path = endpoint.path
    for parameter, value in PATH_IDS.items():
        path = path.replace(parameter, value)
    return call(endpoint, path, **request)


def headers_for(name: str, owner: Owner) -> dict[str, str]:
    """Return credentials that the endpoint takes."""
    principal = ENDPOINTS[name].principal
    if principal is Staff:
        return _staff_headers()
    return owner.bearer if principal is Caller else {}


def _staff_headers() -> dict[str, str]:
    from kernel import tokens

    staff.enrol("ops@mailroom.example")
    claims = {"sub": new_id("stf"), "sid": new_id("ses"), "role": "operator"}
    return {"Authorization": f"Bearer {tokens.sign('staff', claims)}"}


def test_the_table_of_bodies_is_complete() -> None:
    wanted = {
        name for name, endpoint in ENDPOINTS.items() if "body" in _parameters(endpoint.function)
    }
    assert wanted == set(BODIES)


@pytest.mark.parametrize(
    "name", sorted(name for name, handler in ENDPOINTS.items() if not handler.public)
)
def test_without_credentials_401_comes_before_422(name: str) -> None:
    answer = ask(name, text="{not json", query={"limit": "x"})
    assert (answer.status, answer.body["code"]) == (401, "auth.unauthenticated")


UNREADABLE = {
    "{": 400,
    '{"a": }': 400,
    "\x00": 400,
    '{"a": ' * 5_000: 400,
    "": 422,
    "null": 422,
    "[]": 422,
    '"text"': 422,
    "3": 422,
}


@pytest.mark.parametrize("name", WITH_BODY)
def test_bodies_that_cannot_be_read_are_refused(name: str, owner: Owner) -> None:
    headers = headers_for(name, owner)
    for number, (text, status) in enumerate(UNREADABLE.items()):
        answer = ask(name, text=text, headers=headers, ip=f"203.0.113.{number}")
        assert answer.status == status, (text[:20], answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", sorted(set(WITH_BODY) - {"rotate_api_key"}))
def test_missing_fields_are_named(name: str, owner: Owner) -> None:
    answer = ask(name, text="{}", headers=headers_for(name, owner))
    required = {f"body.{field}" for field in BODIES[name]}
    assert answer.status == 422
    assert {error["field"] for error in answer.body["errors"]} == required


@pytest.mark.parametrize("name", WITH_BODY)
def test_unknown_fields_are_refused_by_name(name: str, owner: Owner) -> None:
    body = BODIES[name] | {"is_admin": True}
    answer = ask(name, body=body, headers=headers_for(name, owner))
    assert answer.status == 422
    assert [error["field"] for error in answer.body["errors"]] == ["body.is_admin"]


NONSENSE: tuple[Any, ...] = (None, 1, True, 1.5, [], {}, ["a"], "", "\x00", "x" * 5_000)
SENSE_AFTER_ALL = {
    ("version", "1"),
    ("grace_seconds", "1"),
    ("password", repr("\x00")),
    ("current_password", repr("\x00")),
    ("refresh_token", repr("\x00")),
}
"""What is no nonsense in these fields: it is refused for what it means, if at all."""


@pytest.mark.parametrize("name", WITH_BODY)
def test_no_field_takes_nonsense(name: str, owner: Owner) -> None:
    """Whatever stands in a field, the answer names it, repeats nothing, and is never a 500."""
    headers = headers_for(name, owner)
    for field in BODIES[name]:
        for number, value in enumerate(NONSENSE):
            body = BODIES[name] | {field: value}
            answer = ask(name, body=body, headers=headers, ip=f"203.0.113.{number}")
            if name != "register_account" and (field, repr(value)) in SENSE_AFTER_ALL:
                assert answer.status < 500
                continue
            assert answer.status == 422, (field, value, answer.text)
            named = [error["field"] for error in answer.body["errors"]]
            assert all(place.startswith(f"body.{field}") for place in named)
            assert "xxxxx" not in answer.text


@pytest.mark.parametrize("name", WITH_BODY)
def test_only_json_is_read(name: str, owner: Owner) -> None:
    headers = headers_for(name, owner) | {"content-type": "application/x-www-form-urlencoded"}
    assert ask(name, text="a=1", headers=headers).status == 415


def test_a_huge_body_is_refused() -> None:
    body = {"email": EMAIL, "password": "x" * 300_000}
    assert ask("log_in", body=body).status == 413


@pytest.mark.parametrize("surrogate", ["\ud800", "a\udfff"])
def test_broken_unicode_is_refused(surrogate: str) -> None:
    for name in ("log_in", "register_account"):
        for field in BODIES[name]:
            answer = ask(name, body=BODIES[name] | {field: surrogate})
            assert answer.status == 400, (field, answer.text)
    answer = ask("log_in", body={"email": EMAIL, "password": "\U0001f426 is no half"})
    assert answer.status == 401


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("get_api_key", "/v1/api-keys/nonsense"),
        ("get_api_key", f"/v1/api-keys/usr_{ID}"),
        ("get_api_key", f"/v1/api-keys/key_{ID}x"),
        ("get_api_key", f"/v1/api-keys/key_{ID.upper()}"),
        ("end_session", "/v1/sessions/..%2f"),
    ],
)
def test_ids_of_another_shape_are_422(name: str, path: str, owner: Owner) -> None:
    answer = call(ENDPOINTS[name], path, headers=owner.bearer)
    assert answer.status in (404, 422), answer.text


@pytest.mark.parametrize("name", ["get_api_key", "revoke_api_key", "rotate_api_key", "end_session"])
def test_ids_of_nobody_are_404(name: str, owner: Owner) -> None:
    body = BODIES.get(name)
    answer = ask(name, body=body, headers=owner.bearer)
    assert answer.status == 404
    assert answer.body["code"].startswith("identity.")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "101"}, 422),
        ({"limit": "ten"}, 422),
        ({"limit": "-1"}, 422),
        ({"cursor": "x" * 600}, 422),
        ({"cursor": "not base64!"}, 400),
        ({"cursor": "AAAA"}, 400),
        ({"limit": "100"}, 200),
    ],
)
@pytest.mark.parametrize("name", ["list_api_keys", "list_audit_log"])
def test_pages_take_sensible_limits_and_their_own_cursors(
    name: str, query: dict[str, str], status: int, owner: Owner
) -> None:
    answer = ask(name, query=query, headers=owner.bearer)
    assert answer.status == status, answer.text


ALL_ROLES = {
    "owner",
    "admin",
    "member",
    "operator",
    "developer",
    "finance",
    "viewer",
    "auditor",
}
ROLES = {
    "get_tenant": ALL_ROLES,
    "update_tenant": {"owner", "admin"},
    "create_api_key": {"owner", "admin", "member", "developer"},
    "list_api_keys": {"owner", "admin", "member", "developer", "viewer", "auditor"},
    "list_audit_log": {"owner", "admin", "auditor"},
    "list_sessions": ALL_ROLES,
}


@pytest.mark.parametrize("role", sorted(ALL_ROLES))
@pytest.mark.parametrize("name", sorted(ROLES))
def test_roles_may_do_what_they_may(name: str, role: str, owner: Owner) -> None:
    answer = ask(name, body=BODIES.get(name), headers=_as(owner, role))
    if role in ROLES[name]:
        assert answer.status in (200, 201), answer.text
    else:
        assert (answer.status, answer.body["code"]) == (403, "auth.permission_denied")


def test_an_unknown_role_may_only_see_itself(owner: Owner) -> None:
    assert ask("get_me", headers=_as(owner, "nobody")).status == 200
    assert ask("get_tenant", headers=_as(owner, "nobody")).status == 403


def _as(owner: Owner, role: str) -> dict[str, str]:
    return bearer(owner.tenant_id, role=role, sub=owner.user_id)


@pytest.mark.parametrize(
    "name",
    ["log_out", "update_me", "change_password", "enroll_totp", "create_api_key", "list_sessions"],
)
def test_a_key_manages_neither_keys_nor_people(name: str, owner: Owner) -> None:
    key = ask("create_api_key", body=BODIES["create_api_key"], headers=owner.bearer).body
    answer = ask(name, body=BODIES.get(name), headers={"X-API-Key": key["secret"]})
    assert (answer.status, answer.body["code"]) == (403, "auth.permission_denied")
    assert ask("get_me", headers={"X-API-Key": key["secret"]}).body["api_key_id"] == key["id"]


@pytest.mark.parametrize("reason", ["payment", "abuse", "blacklisted", "terms"])
@pytest.mark.parametrize(
    "name", sorted(name for name, handler in ENDPOINTS.items() if handler.principal is Caller)
)
def test_suspension_closes_all_but_signing_in_and_me(name: str, reason: Any, owner: Owner) -> None:
    suspensions.suspend(STAFF, owner.tenant_id, reason, "Because.")
    answer = ask(name, body=BODIES.get(name), headers=owner.bearer)
    if ENDPOINTS[name].route.access is Access.OPEN:
        assert "suspended" not in answer.text.replace('"suspensions"', "") or answer.status == 200
    else:
        assert (answer.status, answer.body["code"]) == (403, f"tenant.suspended_{reason}")


def test_only_signing_in_and_me_are_open() -> None:
    open_routes = {
        str(handler.route)
        for handler in ENDPOINTS.values()
        if handler.principal is Caller and handler.route.access is Access.OPEN
    }
    assert all(re.search("/v1/(me|sessions|auth/logout)", route) for route in open_routes)


def test_a_removed_session_dies_at_once(owner: Owner) -> None:
    assert ask("get_me", headers=owner.bearer).status == 200
    assert ask("log_out", headers=owner.bearer).status == 204
    answer = ask("get_me", headers=owner.bearer)
    assert (answer.status, answer.body["code"]) == (401, "auth.unauthenticated")


def test_a_revoked_key_dies_at_once(owner: Owner) -> None:
    key = ask("create_api_key", body=BODIES["create_api_key"], headers=owner.bearer).body
    headers = {"X-API-Key": key["secret"]}
    assert ask("get_tenant", headers=headers).status == 200
    revoked = call(ENDPOINTS["revoke_api_key"], f"/v1/api-keys/{key['id']}", headers=owner.bearer)
    assert revoked.status == 204
    assert revoked.text == ""
    assert ask("get_tenant", headers=headers).status == 401


@pytest.mark.parametrize("secret", ["", "sk_live_" + "0" * 64, "x", "sk_test_" + "é" * 64])
def test_unknown_keys_are_401(secret: str, owner: Owner) -> None:
    assert ask("get_tenant", headers={"X-API-Key": secret}).status == 401


def test_a_repeated_request_makes_one_key_and_shows_no_secret(owner: Owner) -> None:
    headers = owner.bearer | {"Idempotency-Key": "once"}
    first = ask("create_api_key", body=BODIES["create_api_key"], headers=headers)
    again = ask("create_api_key", body=BODIES["create_api_key"], headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    assert first.body["secret"]
    assert again.body["secret"] is None
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len([item for item in items() if item["kind"]["S"] == "api_key"]) == 1


def test_the_same_key_with_another_body_is_refused(owner: Owner) -> None:
    headers = owner.bearer | {"Idempotency-Key": "once"}
    ask("create_api_key", body=BODIES["create_api_key"], headers=headers)
    other = BODIES["create_api_key"] | {"name": "Another"}
    answer = ask("create_api_key", body=other, headers=headers)
    assert (answer.status, answer.body["code"]) == (422, "request.idempotency_key_reused")


def test_a_repeated_rotation_rotates_once(owner: Owner) -> None:
    key = ask("create_api_key", body=BODIES["create_api_key"], headers=owner.bearer).body
    path, headers = f"/v1/api-keys/{key['id']}/rotate", owner.bearer | {"Idempotency-Key": "once"}
    body = {"grace_seconds": 60}
    first = call(ENDPOINTS["rotate_api_key"], path, body=body, headers=headers)
    again = call(ENDPOINTS["rotate_api_key"], path, body=body, headers=headers)
    assert first.body["secret"]
    assert again.body["secret"] is None
    assert first.body["rotated_at"] == again.body["rotated_at"]


def test_two_tenants_may_use_the_same_idempotency_key(owner: Owner) -> None:
    other = sign_up("eve@evil.example")
    ids = {
        ask(
            "create_api_key",
            body=BODIES["create_api_key"],
            headers=tenant.bearer | {"Idempotency-Key": "once"},
        ).body["id"]
        for tenant in (owner, other)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", " ", "ä", "x" * 256])
def test_unreadable_idempotency_keys_are_refused(key: str, owner: Owner) -> None:
    headers = owner.bearer | {"Idempotency-Key": key}
    answer = ask("create_api_key", body=BODIES["create_api_key"], headers=headers)
    assert (answer.status, answer.body["code"]) == (400, "request.idempotency_key_invalid")


@pytest.mark.parametrize(
    "name", ["register_account", "resend_verification", "log_in", "request_password_reset"]
)
def test_public_calls_are_limited_per_address(name: str) -> None:
    statuses = [
        ask(name, body=BODIES[name], ip=f"203.0.113.{number}").status for number in range(12)
    ]
    assert statuses[-2:] == [429, 429]
    spelt = BODIES[name] | {"email": EMAIL.upper()}
    assert ask(name, body=spelt, ip="203.0.113.99").status == 429
    other = BODIES[name] | {"email": "other@acme.example"}
    assert ask(name, body=other, ip="203.0.113.99").status != 429


def test_public_calls_are_limited_per_source() -> None:
    statuses = [
        ask("log_in", body={"email": f"user{number}@acme.example", "password": "x"}).status
        for number in range(32)
    ]
    assert statuses[:30] == [401] * 30
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "name", ["register_account", "resend_verification", "request_password_reset"]
)
def test_answers_to_known_and_unknown_addresses_are_equal_to_the_byte(
    name: str, owner: Owner
) -> None:
    answers = set()
    for email in (EMAIL, "ghost@acme.test"):
        answer = ask(name, body=BODIES[name] | {"email": email})
        headers = {key: value for key, value in answer.headers.items() if key != "X-Request-Id"}
        answers.add((answer.status, answer.text.replace(email, "…"), str(sorted(headers.items()))))
    assert len(answers) == 1


def test_a_locked_address_says_when_to_come_back(owner: Owner) -> None:
    for _ in range(5):
        assert ask("log_in", body=BODIES["log_in"] | {"password": "x"}).status == 401
    answer = ask("log_in", body=BODIES["log_in"])
    assert (answer.status, answer.body["code"]) == (429, "identity.sign_in_locked")
    assert 55 <= int(answer.headers["Retry-After"]) <= 60


def test_whoever_left_a_tenant_is_refused_by_the_next_refresh(owner: Owner) -> None:
    MembershipRecord.at(owner.user_id, owner.tenant_id).delete()
    body = {"refresh_token": owner.session.refresh_token}
    answer = ask("refresh_session", body=body)
    assert (answer.status, answer.body["code"]) == (401, "identity.refresh_token_invalid")


def test_staff_tokens_open_no_tenant_and_tenants_tokens_no_staff_route(owner: Owner) -> None:
    assert ask("get_me", headers=_staff_headers()).status == 401
    assert ask("list_tenants", headers=owner.bearer).status == 401


def test_whatever_is_asked_nothing_is_published_for_a_refusal(owner: Owner) -> None:
    before = len(events())
    ask("update_tenant", body={"company_name": "X", "version": 9}, headers=owner.bearer)
    ask("create_api_key", body={"name": "x", "permissions": ["no"]}, headers=owner.bearer)
    assert len(events()) == before


def _parameters(function: Any) -> list[str]:
    import inspect

    return list(inspect.signature(function).parameters)


def test_the_gate_is_asked_before_any_handler(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any) -> None:
        raise TenantSuspendedError("abuse")

    monkeypatch.setattr(gate, "admit_user", closed)
    for name, handler in ENDPOINTS.items():
        if handler.principal is Caller:
            answer = ask(name, body=BODIES.get(name), headers=owner.bearer)
            assert answer.status == 403, json.dumps(answer.body)
