import re

import pytest

from kernel import aws, settings
from notifications import ses as provider
from notifications.errors import RejectedError
from notifications.rendering import Content
from notifications.ses import Outgoing
from tests.unit.notifications.scenery import Ses, content

TAGS = {
    "tenant_id": "PLATFORM",
    "event_id": "evt_01jd3v8m5ke5c8qv0m5w6r3x2y",
    "template": "welcome",
}


def outgoing(recipient: str = "owner@acme.example", subject: str = "Grüße") -> Outgoing:
    words = Content(subject, "Text\n", "<p>HTML</p>")
    return Outgoing(recipient=recipient, content=words, reference="mail_1", tags=TAGS)


def test_request_names_sender_configuration_set_and_tags(ses: Ses) -> None:
    provider.send(outgoing())
    (request,) = ses.requests

    assert request["FromEmailAddress"] == "Mailroom <hello@mailroom.example>"
    assert request["ReplyToAddresses"] == ["support@mailroom.example"]
    assert request["ConfigurationSetName"] == "mailroom-local-platform"
    assert {tag["Name"]: tag["Value"] for tag in request["EmailTags"]} == TAGS
    assert content(request)["Subject"] == {"Data": "Grüße", "Charset": "UTF-8"}
    assert set(content(request)["Body"]) == {"Text", "Html"}


def test_tags_hold_only_what_ses_takes(ses: Ses) -> None:
    provider.send(outgoing())
    tags = ses.requests[0]["EmailTags"]

    assert all(re.fullmatch(r"[\w-]{1,256}", tag["Name"] + tag["Value"]) for tag in tags)


def test_headers_say_that_nobody_wrote_it_and_who_it_is(ses: Ses) -> None:
    provider.send(outgoing())
    headers = {h["Name"]: h["Value"] for h in content(ses.requests[0])["Headers"]}

    assert headers == {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Entity-Ref-ID": "mail_1",
    }


def test_a_product_name_beyond_ascii_is_an_encoded_word(
    ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PRODUCT_NAME", 'Pöst, "Ämter"\r\nBcc: x@y.example')
    settings.load.cache_clear()
    provider.send(outgoing())
    sender = ses.requests[0]["FromEmailAddress"]

    assert sender.isascii()
    assert sender.startswith("=?utf-8?")
    assert "\n" not in sender


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("owner@acme.example", "owner@acme.example"),
        ("owner@bücher.example", "owner@xn--bcher-kva.example"),
        ("o'brien+tag@acme.example", "o'brien+tag@acme.example"),
    ],
)
def test_domains_are_sent_in_punycode(ses: Ses, address: str, sent_to: str) -> None:
    provider.send(outgoing(address))

    assert ses.recipients == [sent_to]


@pytest.mark.parametrize("address", [f"owner@{'x' * 64}.example", "owner@acme..example"])
def test_a_domain_that_cannot_be_is_refused_here(ses: Ses, address: str) -> None:
    with pytest.raises(RejectedError):
        provider.send(outgoing(address))
    assert ses.calls == 0


def test_the_client_makes_one_attempt_and_waits_long_enough(cloud: None) -> None:
    client = aws.client("sesv2", single_attempt=True, patience_seconds=provider._PATIENCE_SECONDS)

    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client.meta.config.read_timeout == 4.0
    assert client.meta.config.connect_timeout == 2.0


def test_the_gate_keeps_its_own_patience(cloud: None) -> None:
    client = aws.client("dynamodb", single_attempt=True)

    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (0.3, 0.3)
