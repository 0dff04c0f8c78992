"""GET /v1/captured-mails through the real handler, gate and all."""

import pytest

from functions.notifications.list_captured_mails import handler
from notifications import contacts, mails
from tests.callers import bearer, call, make_tenant
from tests.unit.notifications import scenery

pytestmark = pytest.mark.usefixtures("tables", "keys", "digests", "ses")


@pytest.fixture
def tenant() -> str:
    """A test tenant with two captured mails."""
    tenant_id = make_tenant("test")
    contacts.remember(scenery.tenant_registered(tenant_id))
    mails.send(scenery.tenant_registered(tenant_id))
    mails.send(scenery.invoice_paid(tenant_id))
    return tenant_id


def test_lists_captured_mails(tenant: str) -> None:
    answer = call(handler, headers=bearer(tenant))

    assert answer.status == 200
    assert [mail["template"] for mail in answer.body["data"]] == ["receipt", "welcome"]
    assert set(answer.body["data"][0]) == {
        "id", "event_id", "template", "status", "to", "subject", "text", "html", "created_at",
    }  # fmt: skip


def test_pages(tenant: str) -> None:
    first = call(handler, headers=bearer(tenant), query={"limit": "1"})
    cursor = first.body["next_cursor"]
    second = call(handler, headers=bearer(tenant), query={"limit": "1", "cursor": cursor})

    assert [mail["template"] for mail in second.body["data"]] == ["welcome"]


@pytest.mark.parametrize("role", ["owner", "admin", "developer", "auditor"])
def test_whoever_reads_the_test_clock_may(tenant: str, role: str) -> None:
    assert call(handler, headers=bearer(tenant, role=role)).status == 200


@pytest.mark.parametrize("role", ["member", "finance", "viewer", "operator"])
def test_others_may_not(tenant: str, role: str) -> None:
    answer = call(handler, headers=bearer(tenant, role=role))

    assert (answer.status, answer.body["code"]) == (403, "auth.permission_denied")


def test_nobody_may_without_credentials(tenant: str) -> None:
    assert call(handler).status == 401


def test_another_tenant_sees_its_own_only(tenant: str) -> None:
    answer = call(handler, headers=bearer(make_tenant("test")))

    assert (answer.status, answer.body["data"]) == (200, [])


def test_a_live_tenant_has_none() -> None:
    answer = call(handler, headers=bearer(make_tenant("live")))

    assert (answer.status, answer.body["code"]) == (403, "notifications.mail_not_captured")


@pytest.mark.parametrize("reason", ["payment", "abuse"])
def test_is_closed_by_suspensions(reason: str) -> None:
    answer = call(handler, headers=bearer(make_tenant("test", status=reason)))

    assert (answer.status, answer.body["code"]) == (403, f"tenant.suspended_{reason}")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}])
def test_refuses_wrong_limits(tenant: str, query: dict[str, str]) -> None:
    assert call(handler, headers=bearer(tenant), query=query).status == 422


def test_refuses_foreign_cursors(tenant: str) -> None:
    answer = call(handler, headers=bearer(tenant), query={"cursor": "Q09OVEFDVA"})

    assert (answer.status, answer.body["code"]) == (400, "request.cursor_invalid")
