"""Platform staff: enrolled by an operator, never without a second factor, every look audited."""

import pyotp
import pytest

from identity import staff, staff_tenants, suspensions
from identity.errors import InvalidCredentialsError, SignInLockedError, TenantNotFoundError
from identity.models.staff import LogInStaff, StaffLoggedIn
from identity.staff import Credentials
from kernel import gate, tokens
from kernel.authentication import PLATFORM_GATE
from kernel.errors import InvalidCursorError, UnauthenticatedError
from kernel.gate import Access
from kernel.ids import new_id, new_tenant_id
from kernel.pagination import encode_cursor
from kernel.principals import Staff
from tests.unit.identity.scenery import (
    EMAIL,
    VISITOR,
    Calls,
    Wall,
    code_at,
    items,
    journal,
    log_in,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")

ADDRESS = "ops@mailroom.example"
STAFF = Staff(staff_id=new_id("stf"), session_id=new_id("ses"))


@pytest.fixture
def credentials(wall: Wall) -> Credentials:
    wall.forward(minutes=-10)  # tokens are verified by the real time, and must not be of the future
    enrolled = staff.enrol(ADDRESS)
    wall.forward(minutes=1)
    return enrolled


def sign_in(credentials: Credentials, **changed: str) -> StaffLoggedIn:
    form = {
        "email": credentials.email,
        "password": credentials.password,
        "totp_code": code_at(pyotp.TOTP(credentials.totp_secret)),
        **changed,
    }
    return staff.log_in(VISITOR, LogInStaff.model_validate(form))


def enter(session: StaffLoggedIn) -> None:
    """Let the platform's gate decide on a session's token."""
    claims = tokens.verify("staff", session.access_token)
    gate.admit_user(
        PLATFORM_GATE, claims["sub"], claims["sid"], claims["iat"], "GET /", Access.CLOSED
    )


def test_staff_sign_in_with_password_and_code(credentials: Credentials) -> None:
    session = sign_in(credentials)
    assert session.expires_in == 1_800
    enter(session)
    assert journal()[-1].audit["action"] == "identity.staff_signed_in"


def test_a_staff_token_is_no_tenants_token(credentials: Credentials) -> None:
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", sign_in(credentials).access_token)
    with pytest.raises(UnauthenticatedError):
        tokens.verify("staff", sign_up().session.access_token)


@pytest.mark.parametrize(
    "changed",
    [{"password": "wrong"}, {"totp_code": "000000"}, {"email": "nobody@mailroom.example"}],
)
def test_whatever_is_wrong_the_refusal_is_the_same(
    credentials: Credentials, changed: dict[str, str]
) -> None:
    with pytest.raises(InvalidCredentialsError) as refused:
        sign_in(credentials, **changed)
    assert refused.value.detail == "The address or the password is wrong"


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"email": "nobody@mailroom.example"}])
def test_known_and_unknown_addresses_cost_the_same(
    credentials: Credentials, changed: dict[str, str], calls: Calls
) -> None:
    assert calls.during(lambda: sign_in(credentials, **changed)) == ["Query", "PutItem"]


@pytest.mark.parametrize("email", [ADDRESS, "nobody@mailroom.example"])
def test_failures_lock_out(credentials: Credentials, email: str, wall: Wall) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentialsError):
            sign_in(credentials, email=email, password="wrong")
    with pytest.raises(SignInLockedError):
        sign_in(credentials, email=email)


def test_a_users_lock_out_is_not_staffs(credentials: Credentials) -> None:
    for _ in range(5):
        with pytest.raises(InvalidCredentialsError):
            log_in(ADDRESS, password="wrong")
    sign_in(credentials)


def test_a_code_is_accepted_once(credentials: Credentials) -> None:
    sign_in(credentials)
    with pytest.raises(InvalidCredentialsError):
        sign_in(credentials)


def test_signing_out_kills_the_token(credentials: Credentials) -> None:
    session = sign_in(credentials)
    claims = tokens.verify("staff", session.access_token)
    staff.log_out(Staff(staff_id=claims["sub"], session_id=claims["sid"]))
    with pytest.raises(UnauthenticatedError):
        enter(session)


def test_new_credentials_replace_the_old(credentials: Credentials, wall: Wall) -> None:
    session = sign_in(credentials)
    renewed = staff.enrol(ADDRESS)
    assert renewed.password != credentials.password
    with pytest.raises(InvalidCredentialsError):
        sign_in(credentials)
    with pytest.raises(UnauthenticatedError):
        enter(session)
    wall.forward(seconds=31)
    again = sign_in(renewed)
    enter(again)
    assert again.staff_id == session.staff_id


def test_secrets_of_staff_stand_nowhere_in_the_clear(credentials: Credentials) -> None:
    stored = str([items(table) for table in ("identity", "gate", "journal")])
    assert credentials.password not in stored
    assert credentials.totp_secret not in stored
    assert credentials.password not in repr(credentials)


def test_tenants_are_listed_by_status_and_the_look_is_audited() -> None:
    owners = [sign_up(f"owner{number}@acme.example") for number in range(4)]
    suspensions.suspend(STAFF, owners[1].tenant_id, "abuse", "Because.")
    seen, cursor = [], None
    for _ in range(4):
        page = staff_tenants.list_page(STAFF, "active", 2, cursor)
        seen += [tenant.id for tenant in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [owners[0].tenant_id, owners[2].tenant_id, owners[3].tenant_id]
    [suspended] = staff_tenants.list_page(STAFF, "abuse", 2, None).data
    assert suspended.id == owners[1].tenant_id
    assert [(item.reason, item.note) for item in suspended.suspension_details] == [
        ("abuse", "Because.")
    ]
    entry = journal()[-1]
    assert (entry.audit["action"], entry.tenant_id) == ("identity.tenants_listed", "PLATFORM")


@pytest.mark.parametrize("cursor", ["x", "!", encode_cursor("usr_1"), encode_cursor("tnt_\n")])
def test_a_cursor_of_another_list_is_refused(cursor: str | None) -> None:
    with pytest.raises(InvalidCursorError):
        staff_tenants.list_page(STAFF, "active", 2, cursor)


def test_a_tenant_is_inspected_and_its_own_log_shows_the_look() -> None:
    owner = sign_up()
    file = staff_tenants.read(STAFF, owner.tenant_id)
    assert [(member.email, member.role) for member in file.members] == [(EMAIL, "owner")]
    entry = journal()[-1]
    assert (entry.audit["action"], entry.tenant_id) == (
        "identity.tenant_inspected",
        owner.tenant_id,
    )


def test_an_unknown_tenant_is_not_found() -> None:
    with pytest.raises(TenantNotFoundError):
        staff_tenants.read(STAFF, new_tenant_id("live"))
