from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from contracts.events import PLATFORM, Event
from kernel import settings
from kernel.tables import GateRecord
from notifications import catalog, contacts, delivery, feedback, mails
from notifications.errors import (
    ContactUnknownError,
    MailInFlightError,
    NotSentError,
    OutcomeUnknownError,
    ReopenedError,
)
from notifications.models import SesNotification
from notifications.tables import MailRecord, NotificationsTable, Status, SuppressionRecord
from tests.callers import make_tenant
from tests.unit.notifications import scenery
from tests.unit.notifications.scenery import OWNER, Calls, Ses, Time, ses_error

pytestmark = pytest.mark.usefixtures("tables", "time")

URL = "https://email.us-east-1.amazonaws.com"
UNREACHABLE = EndpointConnectionError(endpoint_url=URL)
TIMED_OUT = ReadTimeoutError(endpoint_url=URL)


@pytest.fixture
def tenant() -> str:
    """A live tenant whose contact is known."""
    tenant_id = make_tenant("live")
    contacts.remember(scenery.tenant_registered(tenant_id))
    return tenant_id


@pytest.fixture
def sandbox_tenant() -> str:
    """A test tenant whose contact is known."""
    tenant_id = make_tenant("test")
    contacts.remember(scenery.tenant_registered(tenant_id))
    return tenant_id


def record_of(event: Event, template: str) -> Any:
    record = MailRecord.find(event.tenant_id, event.id, template)
    assert record is not None
    return record


def status_of(event: Event, template: str = "receipt") -> str:
    return str(record_of(event, template).status)


def suspend(tenant_id: str, reason: str) -> None:
    GateRecord.for_tenant(tenant_id).update(actions=[GateRecord.status.set(reason)])


def spare(address: str, reason: str) -> None:
    SuppressionRecord.of(address, reason=reason, suppressed_at=scenery.NOON).save()


def ses_tells(event: Event, template: str, type_: str = "Send") -> None:
    detail = {
        "eventType": type_,
        "mail": {
            "messageId": "0100-told",
            "destination": [OWNER],
            "tags": {
                "tenant_id": [event.tenant_id],
                "event_id": [event.id],
                "template": [template],
            },
        },
    }
    feedback.record(SesNotification.model_validate({"source": "aws.ses", "detail": detail}))


class TestSending:
    def test_sends_and_settles(self, ses: Ses, tenant: str) -> None:
        event = scenery.invoice_paid(tenant)
        mails.send(event)

        record = record_of(event, "receipt")
        assert ses.recipients == [OWNER]
        assert ses.subjects == ["Your receipt: $10.00"]
        assert (record.status, record.message_id, record.attempt) == (Status.SENT, "0100-1", 1)

    def test_every_template_is_sent(self, ses: Ses, tenant: str, opened: None) -> None:
        for template, event in scenery.each_event(tenant):
            mails.send(event)
            assert status_of(event, template) == Status.SENT
        assert ses.calls == len(catalog.ALL)

    def test_keeps_no_address_and_no_words_of_a_live_tenant(self, ses: Ses, tenant: str) -> None:
        event = scenery.key_created(tenant, name="Very private name")
        mails.send(event)

        item = str(record_of(event, "key_created").to_simple_dict())
        assert "developer@acme.example" not in item
        assert "Very private name" not in item
        assert "d***@a***" in item

    def test_is_remembered_longer_than_it_is_useful(self, ses: Ses, tenant: str) -> None:
        receipt, change = scenery.invoice_paid(tenant), scenery.password_changed()
        mails.send(receipt)
        mails.send(change)

        assert record_of(receipt, "receipt").expires_at == scenery.NOON + timedelta(days=395)
        assert record_of(change, "password_changed").expires_at == scenery.NOON + timedelta(days=44)
        assert all(template.useful_for < template.retention for template in catalog.ALL)

    def test_without_a_contact_the_event_is_tried_again(self, ses: Ses) -> None:
        event = scenery.invoice_paid(make_tenant("live"))
        with pytest.raises(ContactUnknownError):
            mails.send(event)
        contacts.remember(scenery.tenant_registered(event.tenant_id))
        mails.send(event)

        assert ses.calls == 1


class TestOnceOnly:
    def test_a_double_sends_nothing(self, ses: Ses, tenant: str) -> None:
        event = scenery.invoice_paid(tenant)
        mails.send(event)
        mails.send(event)

        assert ses.calls == 1

    def test_two_events_are_two_mails(self, ses: Ses, tenant: str) -> None:
        mails.send(scenery.invoice_paid(tenant))
        mails.send(scenery.invoice_paid(tenant))

        assert ses.calls == 2

    def test_a_second_worker_waits_for_the_first(
        self, ses: Ses, tenant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event, send = scenery.invoice_paid(tenant), ses.send_email

        def interrupted(**request: Any) -> dict[str, str]:
            with pytest.raises(MailInFlightError):
                mails.send(event)
            return send(**request)

        monkeypatch.setattr(ses, "send_email", interrupted)
        mails.send(event)

        assert ses.calls == 1
        assert status_of(event) == Status.SENT

    @pytest.mark.parametrize("told", ["Send", "Delivery", "Bounce", "Complaint", "DeliveryDelay"])
    def test_after_a_crash_ses_tells_that_it_was_sent(
        self, ses: Ses, tenant: str, time: Time, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = scenery.invoice_paid(tenant)
        crash_before_settling(event, monkeypatch)
        ses_tells(event, "receipt", told)
        time.pass_by(hours=1)
        mails.send(event)

        assert ses.calls == 1
        assert record_of(event, "receipt").message_id == "0100-told"

    def test_after_a_crash_it_is_sent_again_when_ses_tells_nothing(
        self, ses: Ses, tenant: str, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = scenery.invoice_paid(tenant)
        crash_before_settling(event, monkeypatch)
        time.pass_by(minutes=9, seconds=59)
        with pytest.raises(MailInFlightError):
            mails.send(event)
        assert ses.calls == 1
        time.pass_by(seconds=1)
        mails.send(event)

        assert ses.calls == 2
        assert status_of(event) == Status.SENT
        assert record_of(event, "receipt").attempt == 2

    def test_how_long_to_wait_is_a_setting(
        self, ses: Ses, tenant: str, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAIL_RESEND_AFTER_SECONDS", "60")
        settings.load.cache_clear()
        event = scenery.invoice_paid(tenant)
        crash_before_settling(event, monkeypatch)
        time.pass_by(seconds=60)
        mails.send(event)

        assert ses.calls == 2

    def test_both_attempts_carry_the_same_reference(
        self, ses: Ses, tenant: str, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = scenery.invoice_paid(tenant)
        crash_before_settling(event, monkeypatch)
        time.pass_by(minutes=11)
        mails.send(event)

        first, second = (scenery.content(request)["Headers"] for request in ses.requests)
        assert first == second

    def test_a_worker_that_was_overtaken_settles_nothing(
        self, ses: Ses, tenant: str, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event, send = scenery.invoice_paid(tenant), ses.send_email

        def slow(**request: Any) -> dict[str, str]:
            monkeypatch.setattr(ses, "send_email", send)
            time.pass_by(minutes=11)
            mails.send(event)
            return send(**request)

        monkeypatch.setattr(ses, "send_email", slow)
        mails.send(event)

        record = record_of(event, "receipt")
        assert (record.attempt, record.message_id) == (2, "0100-1")

    def test_of_two_that_find_an_abandoned_claim_one_sends(
        self, ses: Ses, tenant: str, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = scenery.invoice_paid(tenant)
        crash_before_settling(event, monkeypatch)
        time.pass_by(minutes=11)
        find = MailRecord.find

        def find_late(*keys: str) -> MailRecord | None:
            monkeypatch.setattr(MailRecord, "find", find)
            seen = find(*keys)
            mails.send(event)
            return seen

        monkeypatch.setattr(MailRecord, "find", find_late)
        with pytest.raises(MailInFlightError):
            mails.send(event)

        assert ses.calls == 2

    def test_a_claim_whose_answer_was_lost_is_still_ones_own(
        self, ses: Ses, tenant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client repeats a write whose answer was lost, and then finds its own record."""
        put_if, answers = MailRecord.put_if, [False]

        def put_twice(record: MailRecord, condition: Any) -> bool:
            done = put_if(record, condition)
            return answers.pop() if answers else done

        monkeypatch.setattr(MailRecord, "put_if", put_twice)
        mails.send(scenery.invoice_paid(tenant))

        assert ses.calls == 1

    def test_ses_may_tell_before_the_call_returns(
        self, ses: Ses, tenant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event, send = scenery.invoice_paid(tenant), ses.send_email

        def told_early(**request: Any) -> dict[str, str]:
            answer = send(**request)
            ses_tells(event, "receipt", "Delivery")
            return answer

        monkeypatch.setattr(ses, "send_email", told_early)
        mails.send(event)

        assert status_of(event) == Status.DELIVERED


def crash_before_settling(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SES take the mail, and the function die before it has written so."""
    with monkeypatch.context() as patch:

        def die(*_record: Any, **_status: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(delivery, "_settle", die)
        with pytest.raises(KeyboardInterrupt):
            mails.send(event)
    assert status_of(event) == Status.SENDING


class TestFaultsOfSes:
    @pytest.mark.parametrize(
        "fault",
        [
            UNREACHABLE,
            ConnectTimeoutError(endpoint_url=URL),
            ses_error("AccountSuspendedException"),
            ses_error("SendingPausedException"),
            ses_error("MailFromDomainNotVerifiedException"),
            ses_error("NotFoundException", 404),
            ses_error("LimitExceededException"),
            ses_error("AccessDeniedException", 403),
            ses_error("MessageRejected", message="Email address is not verified. …"),
        ],
        ids=str,
    )
    def test_what_was_certainly_not_taken_is_tried_again_at_once(
        self, ses: Ses, tenant: str, fault: Exception
    ) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults = [fault]
        with pytest.raises(NotSentError):
            mails.send(event)
        assert status_of(event) == Status.FAILED
        mails.send(event)

        record = record_of(event, "receipt")
        assert (record.status, record.attempt, record.reason) == (Status.SENT, 2, None)
        assert len(ses.requests) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            TIMED_OUT,
            ConnectionClosedError(endpoint_url=URL),
            ses_error("InternalFailure", 500),
            ses_error("ServiceUnavailable", 503),
        ],
        ids=str,
    )
    def test_what_may_have_been_taken_waits_for_ses_to_tell(
        self, ses: Ses, tenant: str, time: Time, fault: Exception
    ) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults_after = [fault]
        with pytest.raises(OutcomeUnknownError):
            mails.send(event)
        with pytest.raises(MailInFlightError):
            mails.send(event)
        ses_tells(event, "receipt")
        mails.send(event)

        assert ses.calls == 1
        assert status_of(event) == Status.SENT

    def test_what_may_have_been_taken_is_sent_again_when_nobody_tells(
        self, ses: Ses, tenant: str, time: Time
    ) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults = [TIMED_OUT]
        with pytest.raises(OutcomeUnknownError):
            mails.send(event)
        time.pass_by(minutes=12)
        mails.send(event)

        assert len(ses.requests) == 1

    def test_throttled_calls_are_repeated_in_place(self, ses: Ses, tenant: str) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults = [ses_error("TooManyRequestsException", 429)] * 2
        mails.send(event)

        assert ses.calls == 3
        assert status_of(event) == Status.SENT

    def test_throttled_for_long_is_left_to_the_queue(self, ses: Ses, tenant: str) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults = [ses_error("TooManyRequestsException", 429)] * 3
        with pytest.raises(NotSentError):
            mails.send(event)

        assert status_of(event) == Status.FAILED

    @pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
    def test_a_refused_mail_is_recorded_and_not_repeated(
        self, ses: Ses, tenant: str, code: str
    ) -> None:
        event = scenery.invoice_paid(tenant)
        ses.faults = [ses_error(code, message=f"No mail for {OWNER}")]
        mails.send(event)
        mails.send(event)

        record = record_of(event, "receipt")
        assert (ses.calls, record.status) == (1, Status.REJECTED)
        assert OWNER not in str(record.reason)


class TestSuppression:
    @pytest.mark.parametrize("template", catalog.ALL, ids=lambda template: template.name)
    @pytest.mark.parametrize("reason", ["bounce", "complaint"])
    def test_spares_an_address(
        self, ses: Ses, tenant: str, opened: None, template: catalog.Template, reason: str
    ) -> None:
        for address in (OWNER, "developer@acme.example"):
            spare(address, reason)
        event = dict(scenery.each_event(tenant))[template.name]
        mails.send(event)

        goes_out = reason == "complaint" and template.despite_complaint
        assert (status_of(event, template.name) == Status.SENT) == goes_out
        assert ses.calls == goes_out
        if not goes_out:
            assert record_of(event, template.name).reason == reason

    def test_security_and_suspension_go_out_despite_a_complaint(self) -> None:
        despite = {template.name for template in catalog.ALL if template.despite_complaint}

        assert despite == {
            "password_reset",
            "password_changed",
            "key_created",
            "suspended",
            "reactivated",
        }

    def test_an_address_is_known_whatever_its_case(self, ses: Ses, tenant: str) -> None:
        spare("OWNER@Acme.Example", "bounce")
        event = scenery.invoice_paid(tenant)
        mails.send(event)

        assert status_of(event) == Status.SUPPRESSED


PERSONAL = {"verification", "address_known", "password_reset", "password_changed"}
GUARDING = PERSONAL | {"key_created", "suspended", "reactivated"}
CURING = GUARDING | {"trial_ending", "receipt", "payment_failed"}


class TestSuspension:
    @pytest.mark.parametrize("template", catalog.ALL, ids=lambda template: template.name)
    @pytest.mark.parametrize(
        ("reason", "allowed"),
        [("payment", CURING), ("abuse", GUARDING), ("blacklisted", GUARDING), ("terms", GUARDING)],
    )
    def test_withholds_what_the_table_says(
        self,
        ses: Ses,
        tenant: str,
        opened: None,
        template: catalog.Template,
        reason: str,
        allowed: set[str],
    ) -> None:
        suspend(tenant, reason)
        event = dict(scenery.each_event(tenant))[template.name]
        mails.send(event)

        record = record_of(event, template.name)
        if template.name in allowed:
            assert record.status == Status.SENT
        else:
            assert (record.status, record.reason, ses.calls) == (Status.WITHHELD, reason, 0)

    def test_lifting_it_loses_nothing(self, ses: Ses, tenant: str) -> None:
        suspend(tenant, "abuse")
        receipt, welcome = scenery.invoice_paid(tenant), scenery.tenant_registered(tenant)
        mails.send(receipt)
        mails.send(welcome)
        assert ses.calls == 0
        suspend(tenant, "active")
        mails.release(tenant)
        mails.release(tenant)

        assert sorted(ses.subjects) == ["Welcome to Mailroom", "Your receipt: $10.00"]
        record = record_of(receipt, "receipt")
        assert (record.status, record.event, record.reason) == (Status.SENT, None, None)

    def test_lifting_one_of_two_sends_what_the_other_leaves_open(
        self, ses: Ses, tenant: str
    ) -> None:
        suspend(tenant, "abuse")
        mails.send(scenery.invoice_paid(tenant))
        mails.send(welcome := scenery.tenant_registered(tenant))
        suspend(tenant, "payment")
        mails.release(tenant)

        assert ses.subjects == ["Your receipt: $10.00"]
        assert record_of(welcome, "welcome").reason == "payment"

    def test_a_withheld_mail_is_not_sent_by_a_double(self, ses: Ses, tenant: str) -> None:
        suspend(tenant, "abuse")
        event = scenery.invoice_paid(tenant)
        mails.send(event)
        mails.send(event)

        assert (ses.calls, status_of(event)) == (0, Status.WITHHELD)

    def test_a_release_before_the_mail_was_put_aside_is_noticed(
        self, ses: Ses, tenant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        suspend(tenant, "abuse")
        event, settle = scenery.invoice_paid(tenant), delivery._settle

        def late(record: MailRecord, status: Status, **options: Any) -> None:
            suspend(tenant, "active")
            mails.release(tenant)
            settle(record, status, **options)

        with monkeypatch.context() as patch:
            patch.setattr(delivery, "_settle", late)
            with pytest.raises(ReopenedError):
                mails.send(event)
        mails.send(event)

        assert (ses.calls, status_of(event)) == (1, Status.SENT)

    def test_what_is_no_longer_useful_is_not_released(
        self, ses: Ses, tenant: str, time: Time
    ) -> None:
        suspend(tenant, "abuse")
        trial, receipt = scenery.trial_ending(tenant), scenery.invoice_paid(tenant)
        mails.send(trial)
        mails.send(receipt)
        time.pass_by(days=60)
        suspend(tenant, "active")
        mails.release(tenant)

        assert ses.subjects == ["Your receipt: $10.00"]
        assert status_of(trial, "trial_ending") == Status.EXPIRED


class TestLateEvents:
    @pytest.mark.parametrize("template", catalog.ALL, ids=lambda template: template.name)
    def test_a_replay_of_old_events_mails_nothing(
        self, ses: Ses, tenant: str, opened: None, time: Time, template: catalog.Template
    ) -> None:
        event = dict(scenery.each_event(tenant))[template.name]
        time.now += template.useful_for
        time.pass_by(seconds=1)
        mails.send(event)

        assert (ses.calls, status_of(event, template.name)) == (0, Status.EXPIRED)

    def test_links_are_not_mailed_once_they_have_run_out(self) -> None:
        hours = {
            template.name: template.useful_for.total_seconds() / 3600 for template in catalog.ALL
        }

        assert (hours["verification"], hours["password_reset"]) == (24, 1)

    def test_a_test_clock_says_nothing_about_age(
        self, ses: Ses, sandbox_tenant: str, time: Time
    ) -> None:
        time.pass_by(days=300)
        event = scenery.trial_ending(sandbox_tenant)
        mails.send(event)

        assert status_of(event, "trial_ending") == Status.CAPTURED


class TestTestTenants:
    def test_mail_about_the_tenant_is_captured(self, ses: Ses, sandbox_tenant: str) -> None:
        for template, event in scenery.each_event(sandbox_tenant):
            if template in PERSONAL:
                continue
            mails.send(event)
            record = record_of(event, template)
            assert record.status == Status.CAPTURED
            assert record.subject
            assert record.text
            assert "<h1" in str(record.html)
            assert record.expires_at == scenery.NOON + catalog.CAPTURED_RETENTION
        assert ses.calls == 0

    def test_mail_about_a_person_really_goes_out(self, ses: Ses, sandbox_tenant: str) -> None:
        event = scenery.password_changed(sandbox_tenant)
        mails.send(event)

        record = record_of(event, "password_changed")
        assert (ses.calls, record.status, record.text) == (1, Status.SENT, None)

    def test_registration_has_no_tenant_yet(self, ses: Ses, keys: None) -> None:
        event = scenery.with_secret(scenery.registration())
        mails.send(event)

        record = record_of(event, "verification")
        assert (record.pk, record.status, record.text) == (PLATFORM, Status.SENT, None)
        assert scenery.SECRET not in str(record.to_simple_dict())

    def test_on_the_emulator_it_is_sent_and_kept(
        self, ses: Ses, sandbox_tenant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAIL_OF_TEST_TENANTS", "sent")
        settings.load.cache_clear()
        event = scenery.invoice_paid(sandbox_tenant)
        mails.send(event)

        record = record_of(event, "receipt")
        assert (ses.calls, record.status, record.recipient) == (1, Status.SENT, OWNER)

    def test_is_suspended_and_spared_like_any_other(self, ses: Ses, sandbox_tenant: str) -> None:
        suspend(sandbox_tenant, "abuse")
        withheld = scenery.invoice_paid(sandbox_tenant)
        mails.send(withheld)
        spare(OWNER, "bounce")
        spared = scenery.suspended(sandbox_tenant)
        mails.send(spared)

        assert status_of(withheld) == Status.WITHHELD
        assert status_of(spared, "suspended") == Status.SUPPRESSED


class TestCalls:
    """What is said at the top of delivery.py."""

    def test_about_a_person(self, ses: Ses, calls: Calls) -> None:
        mails.send(scenery.password_changed())

        assert calls.take() == ["PutItem", "GetItem", "PutItem"]
        assert ses.calls == 1

    def test_with_a_link_also_one_decryption(self, ses: Ses, keys: None, calls: Calls) -> None:
        event = scenery.with_secret(scenery.registration())
        calls.take()
        mails.send(event)

        assert calls.take() == ["Decrypt", "PutItem", "GetItem", "PutItem"]

    def test_to_the_contact_also_its_read_and_the_gate(
        self, ses: Ses, tenant: str, calls: Calls
    ) -> None:
        mails.send(scenery.invoice_paid(tenant))

        assert calls.take() == ["GetItem", "PutItem", "GetItem", "GetItem", "PutItem"]

    def test_of_a_double(self, ses: Ses, calls: Calls) -> None:
        event = scenery.password_changed()
        mails.send(event)
        calls.take()
        mails.send(event)

        assert calls.take() == ["PutItem", "GetItem"]

    def test_of_a_release(self, ses: Ses, tenant: str, calls: Calls) -> None:
        calls.take()
        mails.release(tenant)

        assert calls.take() == ["Query"]


def test_nothing_but_mails_contacts_and_suppressions_is_kept(ses: Ses, tenant: str) -> None:
    mails.send(scenery.invoice_paid(tenant))

    kinds = {type(record).__name__ for record in NotificationsTable.scan()}
    assert kinds == {"MailRecord", "ContactRecord"}
