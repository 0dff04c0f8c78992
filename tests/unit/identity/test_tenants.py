"""Reading and renaming a tenant; the last writer does not win."""

import pytest
from pydantic import ValidationError

from contracts.identity import TenantUpdated
from identity import tenants
from identity.models.tenants import Tenant, UpdateTenant
from kernel.errors import VersionConflictError
from tests.unit.identity.scenery import Owner, events, journal, sign_up

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def owner() -> Owner:
    return sign_up()


def rename(owner: Owner, name: str, version: int) -> Tenant:
    return tenants.update(owner.caller, UpdateTenant(company_name=name, version=version))


def test_a_tenant_is_as_it_was_registered(owner: Owner) -> None:
    tenant = tenants.read(owner.caller)
    assert (tenant.company_name, tenant.mode, tenant.plan) == ("Acme Mail", "test", "api_starter")
    assert (tenant.status, tenant.suspensions, tenant.version) == ("active", [], 1)
    assert tenant.owner_id == owner.user_id
    assert tenant.subscription_status is None


def test_renaming_raises_the_version_and_is_published(owner: Owner) -> None:
    renamed = rename(owner, "Acme Ltd", 1)
    assert (renamed.company_name, renamed.version) == ("Acme Ltd", 2)
    [event] = events(TenantUpdated)
    assert (event.company_name, event.version) == ("Acme Ltd", 2)
    assert journal()[-1].audit["changes"] == {"company_name": "Acme Ltd"}


@pytest.mark.parametrize("version", [1, 3, 99])
def test_a_change_made_from_another_version_is_refused(owner: Owner, version: int) -> None:
    rename(owner, "Acme Ltd", 1)
    with pytest.raises(VersionConflictError) as refused:
        rename(owner, "Acme Inc", version)
    assert refused.value.status == 409
    assert tenants.read(owner.caller).company_name == "Acme Ltd"
    assert len(events(TenantUpdated)) == 1


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, True, None])
def test_nonsense_versions_are_refused(version: object) -> None:
    with pytest.raises(ValidationError):
        UpdateTenant.model_validate({"company_name": "Acme", "version": version})
