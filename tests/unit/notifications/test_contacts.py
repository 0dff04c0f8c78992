import itertools

import pytest

from contracts.identity import TenantUpdated
from notifications import contacts
from notifications.errors import ContactUnknownError
from notifications.tables import ContactRecord, NotificationsTable
from tests.unit.notifications import scenery
from tests.unit.notifications.scenery import OWNER, Calls

pytestmark = pytest.mark.usefixtures("tables")

TENANT = "tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"
OTHER = "tnt_01jd3v8m5ke5c8qv0m5w6r3x2z"


def renamed(name: str, version: int, tenant_id: str = TENANT) -> TenantUpdated:
    return TenantUpdated(
        tenant_id=tenant_id,
        occurred_at=scenery.NOON,
        subject=tenant_id,
        version=version,
        company_name=name,
    )


def test_remembers_owner_and_name() -> None:
    contacts.remember(scenery.tenant_registered(TENANT, "Acme"))

    assert contacts.require(TENANT) == (OWNER, "Acme")


def test_an_unknown_contact_is_an_error_to_be_tried_again() -> None:
    contacts.remember(scenery.tenant_registered(OTHER))

    with pytest.raises(ContactUnknownError):
        contacts.require(TENANT)


def test_a_name_without_an_address_is_no_contact_yet() -> None:
    contacts.rename(renamed("Acme Ltd", 2))

    with pytest.raises(ContactUnknownError):
        contacts.require(TENANT)


def test_any_order_ends_with_the_newest_name() -> None:
    for order in itertools.permutations([1, 2, 3, 3]):
        for record in NotificationsTable.scan():
            record.delete()
        for version in order:
            if version == 1:
                contacts.remember(scenery.tenant_registered(TENANT, "Acme 1"))
            else:
                contacts.rename(renamed(f"Acme {version}", version))
        assert contacts.require(TENANT) == (OWNER, "Acme 3")


def test_records_are_of_their_kind_however_they_began() -> None:
    contacts.rename(renamed("Acme", 2))
    contacts.remember(scenery.tenant_registered(OTHER))

    assert {type(record) for record in NotificationsTable.scan()} == {ContactRecord}


def test_each_event_costs_one_write(calls: Calls) -> None:
    contacts.remember(scenery.tenant_registered(TENANT))
    contacts.rename(renamed("Acme", 2))

    assert calls.take() == ["UpdateItem", "UpdateItem"]
