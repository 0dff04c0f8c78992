"""From the form to the tenant, and every way in which that can go wrong."""

from typing import Any

import pytest

from contracts.identity import RegistrationRequested, TenantRegistered
from identity import founding, registrations, reset_requests, verifications
from identity.errors import AddressTakenError, LinkInvalidError, WeakPasswordError
from identity.models.auth import AddressForm, RegisterAccount, VerifyEmail
from identity.tables import TenantRecord
from kernel import encryption
from kernel.ids import is_test_tenant
from kernel.tables import GateRecord, find
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    VISITOR,
    Wall,
    events,
    items,
    journal,
    log_in,
    mailed_secret,
    register,
    sign_up,
)

pytestmark = pytest.mark.usefixtures("world")


def verify(secret: str) -> Any:
    return verifications.verify(VISITOR, VerifyEmail(token=secret))


def resend(email: str = EMAIL) -> Any:
    return verifications.resend(VISITOR, AddressForm(email=email))


def kinds() -> list[str]:
    return sorted(item["kind"]["S"] for item in items() if "kind" in item)


def test_registering_makes_nothing_but_a_request() -> None:
    register()
    assert kinds() == ["link", "registration"]
    assert items("gate") == []
    [event] = events()
    assert isinstance(event, RegistrationRequested)
    assert (event.email, event.company_name) == (EMAIL, "Acme Mail")


def test_no_secret_is_stored_or_published_in_the_clear() -> None:
    secret = register()
    stored = str([items(table) for table in ("identity", "gate", "journal", "timers")])
    assert secret not in stored
    assert PASSWORD not in stored
    assert secret.startswith("lnk_")
    assert len(secret) == 47


def test_the_sealed_secret_opens_for_its_own_registration_only() -> None:
    register()
    [event] = events()
    with pytest.raises(encryption.SealBrokenError):
        encryption.open_sealed(event.sealed_token, purpose="link", subject="reg_other")


@pytest.mark.parametrize("mode", ["live", "test"])
def test_verifying_makes_everything_at_once(mode: str) -> None:
    verified = verify(register(mode=mode))
    assert kinds() == ["address", "membership", "tenant", "user"]
    assert is_test_tenant(verified.tenant_id) == (mode == "test")
    tenant = find(TenantRecord, verified.tenant_id, TenantRecord.SK)
    assert tenant is not None
    assert (tenant.owner_id, tenant.plan, tenant.status) == (
        verified.user_id,
        "api_starter",
        "active",
    )
    [registered] = events(TenantRegistered)
    assert (registered.owner_email, registered.mode, registered.plan) == (
        EMAIL,
        mode,
        "api_starter",
    )
    assert registered.tenant_id == registered.subject == verified.tenant_id


def test_a_new_tenants_gate_has_the_limits_of_the_free_plan() -> None:
    gate = find(GateRecord, verify(register()).tenant_id, "GATE")
    assert gate is not None
    assert (gate.status, gate.entitlements_version) == ("active", 0)
    assert (gate.limit_user_minute, gate.limit_tenant_minute) == (100, 1_000)
    assert (gate.limit_key_minute, gate.limit_month) == (10, 1_000)
    assert gate.limit_key_hour is None
    assert gate.limit_key_day is None


def test_a_test_tenants_clock_waits_for_its_first_event() -> None:
    verify(register(mode="test"))
    [clock] = items("timers")
    [registered] = events(TenantRegistered)
    assert clock["busy"]["SS"] == [f"event/{registered.id}"]


def test_a_live_tenant_has_no_clock() -> None:
    verify(register(mode="live"))
    assert items("timers") == []


def test_a_link_works_once() -> None:
    secret = register()
    verify(secret)
    with pytest.raises(LinkInvalidError):
        verify(secret)
    assert kinds().count("tenant") == 1


def test_a_link_works_for_a_day(wall: Wall) -> None:
    early, late = register("early@acme.example"), register("late@acme.example")
    wall.forward(hours=23, minutes=59)
    verify(early)
    wall.forward(minutes=1)
    with pytest.raises(LinkInvalidError):
        verify(late)


@pytest.mark.parametrize("secret", ["lnk_" + "A" * 43, "lnk_" + "_" * 43])
def test_a_forged_link_is_refused(secret: str) -> None:
    register()
    with pytest.raises(LinkInvalidError):
        verify(secret)


def test_a_link_for_something_else_is_refused() -> None:
    sign_up()
    reset_requests.request_reset(VISITOR, AddressForm(email=EMAIL))
    with pytest.raises(LinkInvalidError):
        verify(mailed_secret())


def test_two_verifications_of_one_link_make_one_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = register()
    _meanwhile(monkeypatch, lambda: verify(secret))
    with pytest.raises(LinkInvalidError):
        verify(secret)
    assert kinds() == ["address", "membership", "tenant", "user"]


def test_two_verifications_for_one_address_make_one_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = register(company_name="First"), register(company_name="Second")
    _meanwhile(monkeypatch, lambda: verify(second))
    with pytest.raises(AddressTakenError):
        verify(first)
    assert [event.company_name for event in events(TenantRegistered)] == ["Second"]
    assert kinds().count("user") == kinds().count("tenant") == 1


def test_a_known_address_is_told_so_and_gets_no_link() -> None:
    owner = sign_up()
    request = {
        "company_name": "Eve",
        "email": EMAIL,
        "password": "another long one",
        "plan": "api_pro",
    }
    registrations.register(VISITOR, RegisterAccount.model_validate(request))
    event = events(RegistrationRequested)[-1]
    assert (event.email, event.sealed_token) == (EMAIL, None)
    assert log_in().user.id == owner.user_id


def test_nobody_can_open_an_account_with_a_password_from_before_the_proof() -> None:
    """The squatter's form and the owner's form are two; the link decides which becomes real."""
    register(password="the squatter's words")
    verify(register(password="the owner's own words"))
    assert log_in(password="the owner's own words").user.email == EMAIL


def test_addresses_are_one_whatever_their_spelling() -> None:
    verify(register("Ada@ACME.example"))
    registrations.register(
        VISITOR,
        RegisterAccount.model_validate(
            {
                "company_name": "A",
                "email": "ada@acme.EXAMPLE",
                "password": PASSWORD,
                "plan": "api_pro",
            }
        ),
    )
    assert events(RegistrationRequested)[-1].sealed_token is None


@pytest.mark.parametrize("password", ["12345678", "password1", "acmemail1"])
def test_weak_passwords_are_refused_before_anything_is_written(password: str) -> None:
    with pytest.raises(WeakPasswordError):
        register(password=password)
    assert items() == []
    assert journal() == []


def test_resending_replaces_the_link_of_the_newest_registration() -> None:
    register(company_name="Older")
    first = register(company_name="Newer")
    resend()
    second = mailed_secret()
    assert second != first
    with pytest.raises(LinkInvalidError):
        verify(first)
    verify(second)
    assert events(TenantRegistered)[-1].company_name == "Newer"


def test_resending_gives_another_day(wall: Wall) -> None:
    register()
    wall.forward(hours=23)
    resend()
    secret = mailed_secret()
    wall.forward(hours=23)
    verify(secret)


def test_resending_for_a_registration_that_has_expired_mails_nothing(wall: Wall) -> None:
    register()
    wall.forward(hours=24)
    resend()
    assert len(events(RegistrationRequested)) == 1


def test_resending_to_an_unknown_address_mails_nothing() -> None:
    resend("nobody@acme.example")
    assert events() == []
    assert "registration" not in kinds()


def test_resending_to_an_owner_says_that_there_is_an_account() -> None:
    sign_up()
    resend()
    assert events(RegistrationRequested)[-1].sealed_token is None


def test_the_platforms_journal_names_no_address_that_is_not_to_be_mailed() -> None:
    resend("nobody@acme.example")
    assert "nobody" not in str(items("journal"))


def _meanwhile(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    """Do something once in the moment before the next tenant is founded."""
    found = founding.found

    def delayed(*arguments: Any) -> str:
        monkeypatch.setattr(founding, "found", found)
        work()
        return found(*arguments)

    monkeypatch.setattr(founding, "found", delayed)
