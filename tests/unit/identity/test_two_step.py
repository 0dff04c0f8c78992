"""Enrolling a second factor, disabling it, and recovery codes."""

import pyotp
import pytest

from identity import profiles, two_step
from identity.errors import (
    CodeWrongError,
    PasswordWrongError,
    SignInLockedError,
    TotpAlreadyEnabledError,
    TotpNotEnabledError,
)
from identity.models.me import ConfirmIdentity, ConfirmTotp, EnrolTotp, RecoveryCodes, TotpEnrolment
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    Owner,
    Wall,
    code_at,
    enable_totp,
    items,
    log_in,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner(wall: Wall) -> Owner:
    return sign_up()


def enrol(owner: Owner, password: str = PASSWORD) -> TotpEnrolment:
    return two_step.enrol(owner.caller, EnrolTotp.model_validate({"password": password}))


def confirm(owner: Owner, code: str) -> RecoveryCodes:
    return two_step.enable(owner.caller, ConfirmTotp(code=code))


def form(code: str, password: str = PASSWORD) -> ConfirmIdentity:
    return ConfirmIdentity.model_validate({"password": password, "code": code})


def totp_enabled(owner: Owner) -> bool:
    user = profiles.read(owner.caller).user
    assert user is not None
    return user.totp_enabled


def test_enrolling_gives_a_secret_for_authenticators(owner: Owner) -> None:
    enrolment = enrol(owner)
    parsed = pyotp.parse_uri(enrolment.otpauth_uri)
    assert (parsed.secret, parsed.name, parsed.issuer) == (enrolment.secret, EMAIL, "Mailroom")
    assert len(enrolment.secret) == 32
    assert not totp_enabled(owner)
    log_in()


def test_secrets_and_codes_never_stand_in_the_clear(owner: Owner) -> None:
    enrolment = enrol(owner)
    codes = confirm(owner, code_at(pyotp.TOTP(enrolment.secret))).recovery_codes
    stored = str([items(table) for table in ("identity", "journal")])
    assert enrolment.secret not in stored
    assert not any(code in stored for code in codes)


def test_enabling_shows_ten_recovery_codes(owner: Owner) -> None:
    totp = pyotp.TOTP(enrol(owner).secret)
    codes = confirm(owner, code_at(totp)).recovery_codes
    assert len(set(codes)) == 10
    assert totp_enabled(owner)


def test_enrolling_again_replaces_a_secret_that_was_not_confirmed(owner: Owner) -> None:
    first = pyotp.TOTP(enrol(owner).secret)
    second = pyotp.TOTP(enrol(owner).secret)
    with pytest.raises(CodeWrongError):
        confirm(owner, code_at(first))
    confirm(owner, code_at(second))


def test_a_wrong_password_enrols_nothing_and_is_counted(owner: Owner) -> None:
    for _ in range(5):
        with pytest.raises(PasswordWrongError):
            enrol(owner, password="wrong")
    with pytest.raises(SignInLockedError):
        enrol(owner)


def test_enrolling_twice_is_a_conflict_and_no_failure(owner: Owner) -> None:
    enable_totp(owner)
    for _ in range(7):
        with pytest.raises(TotpAlreadyEnabledError):
            enrol(owner)


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_wrong_code_enables_nothing(owner: Owner, steps: int) -> None:
    totp = pyotp.TOTP(enrol(owner).secret)
    with pytest.raises(CodeWrongError):
        confirm(owner, code_at(totp, steps=steps))
    assert not totp_enabled(owner)


def test_confirming_what_was_not_enrolled_is_a_conflict(owner: Owner) -> None:
    with pytest.raises(TotpNotEnabledError):
        confirm(owner, "123456")


def test_confirming_twice_is_a_conflict(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=1)
    with pytest.raises(TotpNotEnabledError):
        confirm(owner, code_at(totp))


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_password_and_a_code_disable_it(owner: Owner, wall: Wall, kind: str) -> None:
    totp, codes = enable_totp(owner)
    wall.forward(minutes=1)
    two_step.disable(owner.caller, form(code_at(totp) if kind == "totp" else codes[0]))
    assert not totp_enabled(owner)
    log_in()
    enable_totp(owner)


@pytest.mark.parametrize("code", ["000000", "aaaa-bbbb-cccc-dddd"])
def test_a_wrong_code_disables_nothing_and_is_counted(owner: Owner, wall: Wall, code: str) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=1)
    for _ in range(5):
        with pytest.raises(CodeWrongError):
            two_step.disable(owner.caller, form(code))
    with pytest.raises(SignInLockedError):
        two_step.disable(owner.caller, form(code_at(totp)))
    assert totp_enabled(owner)


def test_a_wrong_password_disables_nothing(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=1)
    with pytest.raises(PasswordWrongError):
        two_step.disable(owner.caller, form(code_at(totp), password="wrong"))
    assert totp_enabled(owner)


def test_a_code_that_signed_in_disables_nothing(owner: Owner, wall: Wall) -> None:
    totp, _ = enable_totp(owner)
    wall.forward(minutes=1)
    code = code_at(totp)
    log_in(totp_code=code)
    with pytest.raises(CodeWrongError):
        two_step.disable(owner.caller, form(code))


def test_disabling_what_is_not_enabled_is_a_conflict_and_no_failure(owner: Owner) -> None:
    for _ in range(7):
        with pytest.raises(TotpNotEnabledError):
            two_step.disable(owner.caller, form("000000"))


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_new_recovery_codes_replace_the_old(owner: Owner, wall: Wall, kind: str) -> None:
    totp, old = enable_totp(owner)
    wall.forward(minutes=1)
    code = code_at(totp) if kind == "totp" else old[0]
    new = two_step.renew_recovery_codes(owner.caller, form(code)).recovery_codes
    assert len(set(new)) == 10
    assert not set(new) & set(old)
    for gone in (code, *old[:3]):
        with pytest.raises(CodeWrongError):
            two_step.renew_recovery_codes(owner.caller, form(gone))
    log_in(recovery_code=new[0])
