import itertools
from typing import Any

import pytest

from contracts.events import Event
from notifications import feedback, mails
from notifications.models import SesNotification
from notifications.tables import MailRecord, NotificationsTable, Status, SuppressionRecord
from tests.unit.notifications import scenery
from tests.unit.notifications.scenery import OWNER, Calls, Ses

pytestmark = pytest.mark.usefixtures("tables", "time", "ses")

PERMANENT = {"bounceType": "Permanent", "bounceSubType": "NoEmail"}
TRANSIENT = {"bounceType": "Transient", "bounceSubType": "MailboxFull"}
ABUSE = {"complaintFeedbackType": "abuse"}


@pytest.fixture
def event() -> Event:
    """An event whose mail was sent."""
    event = scenery.password_changed()
    mails.send(event)
    return event


def tell(event: Event, type_: str, *, key: str = "eventType", **details: Any) -> None:
    tags = {
        "ses:configuration-set": ["mailroom-local-platform"],
        "tenant_id": [event.tenant_id],
        "event_id": [event.id],
        "template": ["password_changed"],
    }
    mail = {"messageId": "0100-told", "destination": [OWNER], "tags": tags, "headers": []}
    record({key: type_, "mail": mail, **details})


def record(detail: dict[str, Any]) -> None:
    notification = {"version": "0", "source": "aws.ses", "detail-type": "Email …", "detail": detail}
    feedback.record(SesNotification.model_validate(notification))


def mail(event: Event) -> MailRecord:
    found = MailRecord.find(event.tenant_id, event.id, "password_changed")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("type_", "details", "status", "reason"),
    [
        ("Send", {"send": {}}, "sent", None),
        ("Delivery", {"delivery": {"smtpResponse": "250 ok"}}, "delivered", None),
        (
            "DeliveryDelay",
            {"deliveryDelay": {"delayType": "MailboxFull"}},
            "delayed",
            "MailboxFull",
        ),
        ("Bounce", {"bounce": PERMANENT}, "bounced", "Permanent/NoEmail"),
        ("Bounce", {"bounce": TRANSIENT}, "bounced", "Transient/MailboxFull"),
        ("Complaint", {"complaint": ABUSE}, "complained", "abuse"),
        ("Complaint", {"complaint": {}}, "complained", "complaint"),
        ("Reject", {"reject": {"reason": "Bad content"}}, "rejected", "Bad content"),
        ("Rendering Failure", {"failure": {"errorMessage": "x"}}, "rejected", None),
    ],
)
@pytest.mark.parametrize("key", ["eventType", "notificationType"])
def test_says_what_became_of_a_mail(
    event: Event, type_: str, details: dict[str, Any], status: str, reason: str | None, key: str
) -> None:
    tell(event, type_, key=key, **details)

    assert (mail(event).status, mail(event).reason) == (status, reason)


def test_any_order_and_doubles_end_the_same() -> None:
    told: list[tuple[str, dict[str, Any]]] = [
        ("Send", {}),
        ("DeliveryDelay", {"deliveryDelay": {"delayType": "x"}}),
        ("Delivery", {}),
        ("Complaint", {"complaint": ABUSE}),
    ]
    for order in itertools.permutations([*told, told[2]]):
        event = scenery.password_changed("tnt_01jd3v8m5ke5c8qv0m5w6r3x2y")
        MailRecord(
            event.tenant_id,
            MailRecord.sort_key(event.id, "password_changed"),
            id="mail_1",
            event_id=event.id,
            event_type=event.type,
            template="password_changed",
            claimed_at=scenery.NOON,
            recipient_hash="",
            recipient_masked="",
        ).save()
        for type_, details in order:
            tell(event, type_, **details)
        assert mail(event).status == Status.COMPLAINED


@pytest.mark.parametrize("status", ["captured", "suppressed", "expired", "withheld"])
def test_a_mail_that_was_not_sent_is_not_changed(event: Event, status: str) -> None:
    mail(event).update(actions=[MailRecord.status.set(status)])
    tell(event, "Delivery")

    assert mail(event).status == status


def test_an_event_about_an_unknown_mail_makes_no_record() -> None:
    tell(scenery.password_changed(), "Delivery")

    assert list(NotificationsTable.scan()) == []


@pytest.mark.parametrize("type_", ["Open", "Click", "Subscription", "Something new"])
def test_other_types_are_left_alone(event: Event, type_: str) -> None:
    tell(event, type_)

    assert mail(event).status == Status.SENT


def test_a_permanent_bounce_spares_the_address(event: Event) -> None:
    tell(event, "Bounce", bounce=PERMANENT)

    spared = SuppressionRecord.find(OWNER.upper())
    assert spared is not None
    assert (spared.reason, spared.detail) == ("bounce", "Permanent/NoEmail")
    assert OWNER not in str(spared.to_simple_dict())


@pytest.mark.parametrize("bounce", [TRANSIENT, {"bounceType": "Undetermined"}, {}])
def test_other_bounces_say_nothing_about_the_address(event: Event, bounce: dict[str, str]) -> None:
    tell(event, "Bounce", bounce=bounce)

    assert SuppressionRecord.find(OWNER) is None
    assert mail(event).status == Status.BOUNCED


def test_a_complaint_spares_the_address(event: Event) -> None:
    tell(event, "Complaint", complaint=ABUSE)

    spared = SuppressionRecord.find(OWNER)
    assert spared is not None
    assert spared.reason == "complaint"


def test_not_spam_is_no_complaint(event: Event) -> None:
    tell(event, "Complaint", complaint={"complaintFeedbackType": "not-spam"})

    assert SuppressionRecord.find(OWNER) is None
    assert mail(event).status == Status.SENT


@pytest.mark.parametrize("first_is_bounce", [True, False])
def test_a_bounce_outweighs_a_complaint(event: Event, first_is_bounce: bool) -> None:
    told: list[tuple[str, Any]] = [
        ("Bounce", {"bounce": PERMANENT}),
        ("Complaint", {"complaint": ABUSE}),
    ]
    for type_, details in told if first_is_bounce else reversed(told):
        tell(event, type_, **details)

    spared = SuppressionRecord.find(OWNER)
    assert spared is not None
    assert spared.reason == "bounce"


def test_spares_the_address_that_we_wrote_to_with_or_without_a_name() -> None:
    bounce = {**PERMANENT, "bouncedRecipients": [{"emailAddress": "behind@forwarder.example"}]}
    destination = [f"Owner of Acme <{OWNER}>"]
    record(
        {
            "eventType": "Bounce",
            "mail": {"messageId": "1", "destination": destination, "tags": {}},
            "bounce": bounce,
        }
    )

    assert SuppressionRecord.find(OWNER) is not None
    assert SuppressionRecord.find("behind@forwarder.example") is None


def test_after_a_bounce_nothing_more_is_sent(event: Event, ses: Ses) -> None:
    tell(event, "Bounce", bounce=PERMANENT)
    mails.send(scenery.password_changed())

    assert ses.calls == 1


def test_costs_one_write_and_one_more_for_an_address(event: Event, calls: Calls) -> None:
    calls.take()
    tell(event, "Delivery")
    assert calls.take() == ["UpdateItem"]

    tell(event, "Bounce", bounce=PERMANENT)
    assert calls.take() == ["PutItem", "UpdateItem"]


def test_events_of_other_sources_are_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        SesNotification.model_validate({"source": "aws.s3", "detail": {}})
