"""Every function of identity on the deployed system, held to its role, in the order of a life."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
import requests

from identity import staff
from local.system import System
from tests.conftest import forget
from tests.emulator.companies import Company, wait_for

pytestmark = pytest.mark.xdist_group("emulator")

NEW_PASSWORD = "four unusual birds"
NEWEST_PASSWORD = "five unusual birds"


@pytest.fixture(scope="module")
def company(deployed: System) -> Company:
    registered = Company(deployed)
    registered.register()
    return registered


@pytest.fixture(scope="module")
def staff_headers(deployed: System) -> Iterator[dict[str, str]]:
    """A member of staff, enrolled as an operator does it and signed in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": deployed.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        forget()
        credentials = staff.enrol("tests@mailroom.example")
    forget()
    form = {
        "email": credentials.email,
        "password": credentials.password,
        "totp_code": pyotp.TOTP(credentials.totp_secret).now(),
    }
    answer = ask(deployed, "POST", "/v1/staff/login", form)
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    yield headers
    assert ask(deployed, "POST", "/v1/staff/logout", headers=headers).status_code == 204
    assert ask(deployed, "GET", "/v1/staff/tenants", headers=headers).status_code == 401


def ask(
    system: System, method: str, path: str, body: Any = None, **options: Any
) -> requests.Response:
    """Call the API; a full rate window of public calls is waited for."""
    for _ in range(3):
        url = f"{system.api_url}{path}"
        answer = requests.request(method, url, json=body, timeout=30, **options)
        if answer.status_code != 429 or answer.json()["code"] != "rate.limited":
            return answer
        time.sleep(int(answer.headers["Retry-After"]))
    return answer


def log_in(company: Company, **fields: str) -> requests.Response:
    form = {"email": company.email, "password": company.password, **fields}
    answer = ask(company.system, "POST", "/v1/auth/login", form)
    if answer.status_code == 200:
        company.access_token = answer.json()["access_token"]
        company.refresh_token = answer.json()["refresh_token"]
    return answer


def test_a_second_registration_is_resent_and_told(company: Company) -> None:
    again = ask(company.system, "POST", "/v1/auth/resend-verification", {"email": company.email})
    assert again.status_code == 202
    wait_for("the mail to the owner", lambda: company.mails("account") or None)


def test_profile_and_tenant_are_changed(company: Company) -> None:
    assert company.call("PATCH", "/v1/me", {"name": "Ada"}).json()["user"]["name"] == "Ada"
    tenant = company.call("GET", "/v1/tenant").json()
    change = {"company_name": "New Name", "version": tenant["version"]}
    renamed = company.call("PATCH", "/v1/tenant", change)
    assert renamed.json()["company_name"] == "New Name"
    assert company.call("PATCH", "/v1/tenant", change).status_code == 409


def test_a_session_is_refreshed_listed_and_ended(company: Company) -> None:
    body = {"refresh_token": company.refresh_token}
    refreshed = ask(company.system, "POST", "/v1/auth/refresh", body)
    assert refreshed.status_code == 200, refreshed.text
    company.access_token = refreshed.json()["access_token"]
    first = company.access_token
    assert log_in(company).status_code == 200
    others = [item for item in company.listed("/v1/sessions") if not item["current"]]
    assert company.call("DELETE", f"/v1/sessions/{others[0]['id']}").status_code == 204
    headers = {"Authorization": f"Bearer {first}"}
    assert company.call("GET", "/v1/me", headers=headers).status_code == 401
    assert company.call("DELETE", "/v1/sessions").status_code == 204
    assert company.call("GET", "/v1/me").status_code == 200


def test_a_second_factor_is_enrolled_used_and_disabled(company: Company) -> None:
    enrolment = company.call("POST", "/v1/me/totp", {"password": company.password})
    assert enrolment.status_code == 201, enrolment.text
    totp = pyotp.TOTP(enrolment.json()["secret"])
    enabled = company.call("POST", "/v1/me/totp/confirm", {"code": totp.now()})
    assert enabled.status_code == 200, enabled.text
    codes = enabled.json()["recovery_codes"]
    assert log_in(company).json()["code"] == "identity.totp_required"
    assert log_in(company, recovery_code=codes[0]).status_code == 200
    form = {"password": company.password, "code": codes[1]}
    renewed = company.call("POST", "/v1/me/totp/recovery-codes", form)
    assert renewed.status_code == 200, renewed.text
    form = {"password": company.password, "code": renewed.json()["recovery_codes"][0]}
    assert company.call("DELETE", "/v1/me/totp", form).status_code == 204
    assert company.call("GET", "/v1/me").json()["user"]["totp_enabled"] is False


def test_a_password_is_changed_and_reset_by_mail(company: Company) -> None:
    change = {"current_password": company.password, "new_password": NEW_PASSWORD}
    assert company.call("POST", "/v1/me/password", change).status_code == 204
    request = {"email": company.email}
    asked = ask(company.system, "POST", "/v1/auth/request-password-reset", request)
    assert asked.status_code == 202
    token = company.mailed_token("choose a new")
    reset = {"token": token, "new_password": NEWEST_PASSWORD}
    assert ask(company.system, "POST", "/v1/auth/reset-password", reset).status_code == 204
    assert company.call("GET", "/v1/me").status_code == 401
    company.password = NEWEST_PASSWORD
    assert log_in(company).status_code == 200


def test_a_key_is_created_used_rotated_and_revoked(company: Company) -> None:
    form = {"name": "Production", "permissions": ["tenant:read"]}
    headers = {"Authorization": f"Bearer {company.access_token}", "Idempotency-Key": "once"}
    key = company.call("POST", "/v1/api-keys", form, headers=headers).json()
    again = company.call("POST", "/v1/api-keys", form, headers=headers).json()
    assert (again["id"], again["secret"]) == (key["id"], None)
    path = f"/v1/api-keys/{key['id']}"
    used = company.call("GET", "/v1/tenant", headers={"X-API-Key": key["secret"]})
    assert used.status_code == 200, used.text
    wait_for("the key's last use", lambda: company.call("GET", path).json()["last_used_at"])
    rotated = company.call("POST", f"{path}/rotate", {"grace_seconds": 60}).json()
    for secret in (key["secret"], rotated["secret"]):
        answer = company.call("GET", "/v1/tenant", headers={"X-API-Key": secret})
        assert answer.status_code == 200
    assert [item["id"] for item in company.listed("/v1/api-keys")] == [key["id"]]
    assert company.call("DELETE", path).status_code == 204
    for secret in (key["secret"], rotated["secret"]):
        answer = company.call("GET", "/v1/tenant", headers={"X-API-Key": secret})
        assert answer.status_code == 401


def test_staff_inspect_suspend_and_reactivate(
    company: Company, staff_headers: dict[str, str]
) -> None:
    path = f"/v1/staff/tenants/{company.tenant_id}"
    system = company.system
    file = ask(system, "GET", path, headers=staff_headers)
    assert [member["email"] for member in file.json()["members"]] == [company.email]
    suspension = {"reason": "abuse", "note": "Complaints."}
    suspended = ask(system, "POST", f"{path}/suspend", suspension, headers=staff_headers)
    assert suspended.json()["status"] == "abuse"
    refused = company.call("GET", "/v1/tenant")
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant.suspended_abuse")
    assert company.call("GET", "/v1/me").json()["tenant"]["suspensions"] == ["abuse"]
    listed = ask(system, "GET", "/v1/staff/tenants?status=abuse", headers=staff_headers)
    assert company.tenant_id in [tenant["id"] for tenant in listed.json()["data"]]
    lifted = ask(system, "POST", f"{path}/reactivate", {"reason": "abuse"}, headers=staff_headers)
    assert lifted.json()["status"] == "active"
    assert company.call("GET", "/v1/tenant").status_code == 200


def test_the_log_tells_all_of_it(company: Company) -> None:
    actions: set[str] = set()
    cursor = ""
    while True:
        page = company.call("GET", f"/v1/audit-log?limit=50{cursor}").json()
        actions |= {entry["action"] for entry in page["data"]}
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert actions >= {
        "identity.tenant_registered",
        "identity.signed_in",
        "identity.totp_enabled",
        "identity.totp_disabled",
        "identity.password_changed",
        "identity.api_key_created",
        "identity.api_key_revoked",
        "identity.tenant_inspected",
        "identity.tenant_suspended",
        "identity.tenant_reactivated",
    }


def test_logging_out_ends_it(company: Company) -> None:
    assert company.call("POST", "/v1/auth/logout").status_code == 204
    assert company.call("GET", "/v1/me").status_code == 401


def test_pages_and_keys_are_public(deployed: System) -> None:
    for path in ("/verify-email", "/reset-password"):
        page = ask(deployed, "GET", path)
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
        assert re.search(r'data-action="v1/auth/[a-z-]+"', page.text)
    keys = ask(deployed, "GET", "/.well-known/jwks.json")
    assert keys.json()["keys"]
    assert keys.headers["Cache-Control"].startswith("public")
