"""The audit log: newest first, across months, filtered, and each tenant's own."""

from datetime import UTC, datetime, timedelta

import pytest

from identity import audit_log
from identity.audit_log import Filter
from kernel.errors import InvalidCursorError
from kernel.ids import derive_id
from kernel.pagination import encode_cursor
from kernel.principals import Caller, Staff, System
from kernel.tables import JournalRecord
from kernel.transactions import Transaction
from tests.unit.identity.scenery import Calls, Owner, Wall, sign_up

pytestmark = pytest.mark.usefixtures("world")

ALL = Filter()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TENANT = derive_id("tnt", datetime(2026, 3, 5, tzinfo=UTC), "old")


@pytest.fixture
def old(wall: Wall) -> Caller:
    """A tenant since March, with one entry a month except in summer."""
    wall.now = NOW
    for month in (3, 4, 5, 9, 10, 11):
        _keep(TENANT, datetime(2026, month, 10, tzinfo=UTC), f"month_{month}")
    return Caller(tenant_id=TENANT, user_id="usr_1")


def walk(caller: Caller, wanted: Filter, limit: int) -> tuple[list[str], list[int]]:
    """Return the actions of all pages, and how long each was."""
    actions: list[str] = []
    sizes: list[int] = []
    cursor: str | None = None
    for _ in range(50):
        page = audit_log.list_page(caller, wanted, limit, cursor)
        actions += [entry.action for entry in page.data]
        sizes.append(len(page.data))
        cursor = page.next_cursor
        if cursor is None:
            return actions, sizes
    raise AssertionError("the log has no end")


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
def test_all_months_are_walked_newest_first(old: Caller, limit: int) -> None:
    actions, sizes = walk(old, ALL, limit)
    assert actions == [f"month_{month}" for month in (11, 10, 9, 5, 4, 3)]
    assert max(sizes) <= limit


def test_a_page_takes_six_queries_at_most(old: Caller, calls: Calls) -> None:
    made = calls.during(lambda: audit_log.list_page(old, ALL, 100, None))
    assert made == ["Query"] * audit_log.MAXIMUM_QUERIES


def test_a_young_tenants_page_takes_one_query(calls: Calls) -> None:
    caller = sign_up().caller
    made = calls.during(lambda: audit_log.list_page(caller, ALL, 25, None))
    assert made == ["Query"]


def test_entries_are_filtered_by_action_and_subject(old: Caller, wall: Wall) -> None:
    for number in range(5):
        _keep(TENANT, NOW + timedelta(seconds=number), "wanted", subject=f"sub_{number % 2}")
    wall.forward(minutes=1)
    assert walk(old, Filter(action="wanted"), 2)[0] == ["wanted"] * 5
    assert walk(old, Filter(subject="sub_1"), 2)[0] == ["wanted"] * 2
    assert walk(old, Filter("month_3"), 2)[0] == ["month_3"]
    assert walk(old, Filter("month_3", "sub_1"), 2)[0] == []


def test_what_a_user_did_is_told_with_address_and_values() -> None:
    owner = sign_up()
    entry = audit_log.list_page(owner.caller, Filter("identity.tenant_registered"), 1, None).data[0]
    assert (entry.subject, entry.actor.type, entry.actor.ip) == (
        owner.tenant_id,
        "visitor",
        "203.0.113.7",
    )
    assert entry.changes == {"company_name": "Acme Mail", "plan": "api_starter"}


@pytest.mark.parametrize(
    "actor", [Staff(staff_id="stf_1", session_id="ses_1", ip="10.0.0.1"), System(name="billing/x")]
)
def test_of_the_platforms_own_only_the_kind_is_told(actor: Staff | System) -> None:
    owner = sign_up()
    with Transaction(actor, owner.tenant_id) as transaction:
        transaction.note("looked", owner.tenant_id)
    entry = audit_log.list_page(owner.caller, Filter("looked"), 1, None).data[0]
    assert entry.actor.model_dump() == {"type": actor.actor["type"], "id": None, "ip": None}


def test_another_tenants_entries_are_not_shown() -> None:
    first, second = sign_up(), sign_up("eve@evil.example")
    for owner, other in ((first, second), (second, first)):
        page = audit_log.list_page(owner.caller, ALL, 100, None)
        assert page.data
        assert other.tenant_id not in page.model_dump_json()


def test_a_cursor_holds_no_tenant(old: Caller) -> None:
    cursor = audit_log.list_page(old, ALL, 1, None).next_cursor
    eve: Owner = sign_up("eve@evil.example")
    page = audit_log.list_page(eve.caller, ALL, 10, cursor)
    assert "month" not in page.model_dump_json()


@pytest.mark.parametrize(
    "text", ["2026-13/", "2026-11", "2026-11/x", "2026-11/evt_", "1999-01/", "2026-11/evt_1#", "x"]
)
def test_what_is_no_cursor_of_this_list_is_refused(old: Caller, text: str) -> None:
    with pytest.raises(InvalidCursorError):
        audit_log.list_page(old, ALL, 10, encode_cursor(text))


def test_a_cursor_of_the_future_starts_at_present(old: Caller) -> None:
    page = audit_log.list_page(old, ALL, 1, encode_cursor("2099-01/"))
    assert page.data[0].action == "month_11"


def _keep(tenant_id: str, moment: datetime, action: str, subject: str = "subject") -> None:
    """Put an entry into the journal as it would stand there if it had been made at a moment."""
    JournalRecord(
        JournalRecord.partition(tenant_id, moment),
        derive_id("evt", moment, action, subject),
        tenant_id=tenant_id,
        occurred_at=moment,
        subject=subject,
        audit={"action": action, "actor": {"type": "user", "id": "usr_1"}, "changes": {}},
    ).save()
