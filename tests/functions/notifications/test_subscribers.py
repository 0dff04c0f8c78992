"""Each subscriber with its sample events, through the real handler."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from kernel.tables import ClockRecord, GateRecord, GateTable
from notifications import contacts, mails
from notifications.errors import ContactUnknownError
from notifications.tables import ContactRecord, MailRecord, NotificationsTable, SuppressionRecord
from tests.callers import make_tenant
from tests.doubles import bus_event, sqs_event
from tests.unit.notifications import scenery
from tests.unit.notifications.scenery import OWNER, Calls, Ses, Time, ses_error

pytestmark = pytest.mark.usefixtures("tables", "time", "ses", "opened")

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "events" / "notifications"
TENANT = "tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"
DONE: dict[str, Any] = {"batchItemFailures": []}

MAILERS = {
    "mail_registration/new_address": "Verify your e-mail address",
    "mail_registration/known_address": "You already have an account at Mailroom",
    "mail_welcome/live": "Welcome to Mailroom",
    "mail_password_reset/requested": "Choose a new password",
    "mail_password_changed/changed": "Your password was changed",
    "mail_key_created/created": "A new API key was created",
    "mail_trial_ending/with_card": "Your trial ends on 23 November 2026",
    "mail_trial_ending/without_card": "Your trial ends on 23 November 2026",
    "mail_receipt/paid": "Your receipt: $10.00",
    "mail_payment_failed/first_attempt": "Your payment of $10.00 failed",
    "mail_payment_failed/last_attempt": "Your payment of $10.00 failed",
    "mail_suspension/payment": "Your account is suspended",
    "mail_suspension/abuse": "Your account is suspended",
    "mail_reactivation/open": "Your account is reactivated",
    "mail_reactivation/another_reason_remains": "Your account is still suspended",
}


@pytest.fixture
def tenant() -> str:
    """The tenant of the samples; its contact is known."""
    gate = {"status": "active", "limit_user_minute": 100, "limit_tenant_minute": 1_000}
    GateRecord.for_tenant(TENANT, **gate).save()
    contacts.remember(scenery.tenant_registered(TENANT))
    return TENANT


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return loaded


def handler(name: str) -> Any:
    return importlib.import_module(f"functions.notifications.{name.partition('/')[0]}").handler


def run(name: str, event: dict[str, Any] | None = None) -> Any:
    return handler(name)(event or sample(name), None)


def test_every_function_has_samples() -> None:
    files = {path.stem for path in (ROOT / "functions" / "notifications").glob("*.py")}

    assert files - {path.name for path in SAMPLES.iterdir()} == {"list_captured_mails"}


@pytest.mark.parametrize(("name", "subject"), MAILERS.items(), ids=MAILERS)
def test_mails_once(ses: Ses, tenant: str, name: str, subject: str) -> None:
    assert run(name) == DONE
    assert run(name) == DONE

    assert ses.subjects == [subject]


@pytest.mark.parametrize("name", MAILERS)
def test_takes_the_event_that_its_samples_are_of(name: str) -> None:
    for record in sample(name)["Records"]:
        assert json.loads(record["body"])["detail-type"] == handler(name).event_type


@pytest.mark.parametrize("name", MAILERS)
def test_a_double_in_another_batch_while_the_memory_of_the_first_is_lost(
    ses: Ses, tenant: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the mail and before the subscriber's own record: the mail's record holds."""
    with monkeypatch.context() as patch:
        patch.setattr("kernel.triggers.Transaction.__exit__", _crash)
        failed = run(name)["batchItemFailures"]
    assert len(failed) == 1
    assert run(name) == DONE

    assert ses.calls == 1


def _crash(*_arguments: Any) -> None:
    raise ConnectionError("DynamoDB is gone")


def test_a_bad_message_does_not_hold_back_the_others(ses: Ses, tenant: str) -> None:
    event = sample("mail_receipt/two_invoices")
    event["Records"][0]["body"] = "{"
    failures = run("mail_receipt", event)["batchItemFailures"]

    assert failures == [{"itemIdentifier": event["Records"][0]["messageId"]}]
    assert len(ses.requests) == 1


def test_a_billing_event_before_the_contact_is_tried_again(ses: Ses) -> None:
    failures = run("mail_receipt/paid")["batchItemFailures"]
    assert len(failures) == 1
    assert run("remember_contact/registered") == DONE
    make_gate()
    assert run("mail_receipt/paid") == DONE

    assert ses.recipients == [OWNER]


def make_gate() -> None:
    gate = {"status": "active", "limit_user_minute": 100, "limit_tenant_minute": 1_000}
    GateRecord.for_tenant(TENANT, **gate).save()


def test_when_ses_is_down_the_message_comes_again(ses: Ses, tenant: str) -> None:
    ses.faults = [ses_error("SendingPausedException")]
    assert len(run("mail_receipt/paid")["batchItemFailures"]) == 1
    assert run("mail_receipt/paid") == DONE

    assert len(ses.requests) == 1


def test_remembers_and_renames_the_contact() -> None:
    assert run("rename_contact/renamed") == DONE
    with pytest.raises(ContactUnknownError):
        contacts.require(TENANT)
    assert run("remember_contact/registered") == DONE

    assert contacts.require(TENANT) == (OWNER, "Acme Mail Ltd")


def test_releases_what_was_withheld(ses: Ses, tenant: str) -> None:
    suspended = GateRecord.for_tenant(tenant)
    suspended.update(actions=[GateRecord.status.set("abuse")])
    mails.send(scenery.invoice_paid(tenant))
    suspended.update(actions=[GateRecord.status.set("active")])
    assert run("release_mails/lifted") == DONE

    assert ses.subjects == ["Your receipt: $10.00"]


def test_a_test_clock_is_told_that_the_mail_is_done() -> None:
    tenant_id = make_tenant("test")
    contacts.remember(scenery.tenant_registered(tenant_id))
    event = scenery.invoice_paid(tenant_id)
    work = f"event/{event.id}/kernel/tests"
    ClockRecord.for_tenant(tenant_id).update(actions=[ClockRecord.busy.add({work})])
    run("mail_receipt", sqs_event(bus_event(event)))

    clock = ClockRecord.find(tenant_id)
    assert clock is not None
    assert not clock.busy


def test_costs_of_a_mail_to_the_contact(ses: Ses, tenant: str, calls: Calls) -> None:
    """What the subscriber adds to the mail's own: one read before, one transaction after."""
    calls.take()
    run("mail_receipt/paid")

    mail = ["GetItem", "PutItem", "GetItem", "GetItem", "PutItem"]
    assert calls.take() == ["GetItem", *mail, "TransactWriteItems"]


class TestMailEvents:
    @pytest.fixture
    def mail(self, time: Time) -> MailRecord:
        """The mail that the samples are about."""
        record = MailRecord(
            TENANT,
            MailRecord.sort_key("evt_01jd3v8m5ke5c8qv0m5w6r3x2y", "receipt"),
            id="mail_01jd3v8m5ke5c8qv0m5w6r3x2y",
            event_id="evt_01jd3v8m5ke5c8qv0m5w6r3x2y",
            event_type="billing.invoice_paid",
            template="receipt",
            claimed_at=time.now,
            recipient_hash="",
            recipient_masked="o***@a***",
        )
        record.save()
        return record

    @pytest.mark.parametrize(
        ("case", "status", "spared"),
        [
            ("send", "sent", None),
            ("delivery", "delivered", None),
            ("delivery_delay", "delayed", None),
            ("bounce_permanent", "bounced", "bounce"),
            ("bounce_transient", "bounced", None),
            ("complaint", "complained", "complaint"),
            ("complaint_not_spam", "sending", None),
            ("reject", "rejected", None),
            ("rendering_failure", "rejected", None),
        ],
    )
    def test_records_what_became_of_a_mail(
        self, mail: MailRecord, case: str, status: str, spared: str | None
    ) -> None:
        assert run(f"record_mail_event/{case}") == DONE
        assert run(f"record_mail_event/{case}") == DONE

        mail.refresh(consistent_read=True)
        found = SuppressionRecord.find(OWNER)
        assert (mail.status, found.reason if found else None) == (status, spared)

    def test_every_sample_is_tested(self) -> None:
        assert len(list((SAMPLES / "record_mail_event").iterdir())) == 9

    def test_is_fed_by_the_queue_that_the_rule_fills(self) -> None:
        assert handler("record_mail_event").queue == "ses-events"


def test_only_known_records_are_written(tenant: str) -> None:
    run("mail_receipt/paid")

    assert {type(r) for r in NotificationsTable.scan()} == {MailRecord, ContactRecord}
    assert len(list(GateTable.scan())) == 1
