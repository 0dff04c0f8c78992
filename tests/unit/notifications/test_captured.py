import pytest

from kernel.errors import InvalidCursorError
from kernel.tables import GateRecord
from notifications import captured, contacts, mails
from notifications.errors import MailNotCapturedError
from notifications.tables import SuppressionRecord
from tests.callers import make_caller, make_tenant
from tests.unit.notifications import scenery
from tests.unit.notifications.scenery import OWNER, Calls

pytestmark = pytest.mark.usefixtures("tables", "ses", "time")


@pytest.fixture
def tenant() -> str:
    """A test tenant with three captured mails."""
    tenant_id = make_tenant("test")
    contacts.remember(scenery.tenant_registered(tenant_id))
    for event in (
        scenery.tenant_registered(tenant_id),
        scenery.key_created(tenant_id),
        scenery.invoice_paid(tenant_id),
    ):
        mails.send(event)
    return tenant_id


def test_lists_mails_newest_first(tenant: str) -> None:
    page = captured.page(make_caller(tenant), limit=20, cursor=None)

    assert [mail.template for mail in page.data] == ["receipt", "key_created", "welcome"]
    assert page.next_cursor is None
    newest = page.data[0]
    assert (newest.to, newest.subject, newest.status) == (OWNER, "Your receipt: $10.00", "captured")
    assert newest.id.startswith("mail_")
    assert "$10.00" in newest.text
    assert "$10.00" in newest.html


def test_goes_on_where_a_page_ended(tenant: str) -> None:
    caller = make_caller(tenant)
    first = captured.page(caller, limit=2, cursor=None)
    second = captured.page(caller, limit=2, cursor=first.next_cursor)

    assert [mail.template for mail in second.data] == ["welcome"]


def test_shows_withheld_and_spared_mail_too(tenant: str) -> None:
    GateRecord.for_tenant(tenant).update(actions=[GateRecord.status.set("abuse")])
    mails.send(scenery.invoice_paid(tenant))
    SuppressionRecord.of(OWNER, reason="bounce", suppressed_at=scenery.NOON).save()
    mails.send(scenery.suspended(tenant))
    page = captured.page(make_caller(tenant), limit=2, cursor=None)

    assert [mail.status for mail in page.data] == ["suppressed", "withheld"]


def test_shows_nothing_of_other_tenants(tenant: str) -> None:
    other = make_caller(make_tenant("test"))
    first = captured.page(make_caller(tenant), limit=1, cursor=None)

    assert captured.page(other, limit=20, cursor=None).data == []
    assert captured.page(other, limit=20, cursor=first.next_cursor).data == []


def test_mail_about_a_person_is_not_shown(tenant: str) -> None:
    mails.send(scenery.password_changed(tenant))

    templates = {
        mail.template for mail in captured.page(make_caller(tenant), limit=20, cursor=None).data
    }
    assert "password_changed" not in templates


def test_live_tenants_have_none() -> None:
    with pytest.raises(MailNotCapturedError):
        captured.page(make_caller(make_tenant("live")), limit=20, cursor=None)


def test_a_cursor_of_another_list_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidCursorError):
        captured.page(make_caller(tenant), limit=20, cursor="Q09OVEFDVA")


def test_costs_one_query(tenant: str, calls: Calls) -> None:
    calls.take()
    captured.page(make_caller(tenant), limit=20, cursor=None)

    assert calls.take() == ["Query"]
