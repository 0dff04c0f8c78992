"""The provider: Amazon SES v2, `SendEmail`.

SES has no idempotency token, so a call is made once: botocore must not repeat it after a
time-out, as SES may have taken the mail. What was certainly not taken is told apart from what may
have been. SES writes `Message-ID` itself; `X-Entity-Ref-ID` carries our own, stable one, and the
tags name the record that events about the mail belong to.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formataddr
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from kernel import aws
from kernel.settings import load, resource_name
from notifications.errors import NotSentError, OutcomeUnknownError, RejectedError
from notifications.rendering import Content
from notifications.settings import NotificationsSettings

CONFIGURATION_SET: Final = "platform"

_PATIENCE_SECONDS: Final = 4.0
"""A batch of ten mails must end within the function's minute, also when SES hangs."""

_PAUSES_SECONDS: Final = (0.5, 1.0)
_THROTTLED: Final = frozenset(
    {"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"}
)
_REFUSED: Final = frozenset({"MessageRejected", "BadRequestException"})
_UNVERIFIED: Final = "not verified"
_NEVER_SENT: Final = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What SES is given: an address, the words, our own id, and tags."""

    recipient: str
    content: Content
    reference: str
    tags: Mapping[str, str]


def send(mail: Outgoing) -> str:
    """Hand a mail to SES and return its message id.

    Raises RejectedError (for good), NotSentError (try again) and OutcomeUnknownError (find out).
    Throttled calls are repeated here, as they were certainly not taken.
    """
    request = _request(mail)
    for pause in _PAUSES_SECONDS:
        try:
            return _send_once(request)
        except _ThrottledError:
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311  # nosec B311 - jitter
    return _send_once(request)


class _ThrottledError(NotSentError):
    """SES takes no more at the moment."""


def _send_once(request: Mapping[str, Any]) -> str:
    client = aws.client("sesv2", single_attempt=True, patience_seconds=_PATIENCE_SECONDS)
    try:
        return str(client.send_email(**request)["MessageId"])
    except ClientError as error:
        raise _meaning(error) from error
    except _NEVER_SENT as error:
        raise NotSentError(f"SES cannot be reached: {error}") from error
    except BotoCoreError as error:
        raise OutcomeUnknownError(f"SES gave no answer: {error}") from error


def _meaning(error: ClientError) -> Exception:
    """Return what SES's answer means for the mail."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _THROTTLED:
        return _ThrottledError(f"SES is throttling: {message}")
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return OutcomeUnknownError(f"SES failed: {code}")
    if code in _REFUSED and _UNVERIFIED not in message:
        return RejectedError(f"{code}: {message}")
    return NotSentError(f"SES is misconfigured: {code}: {message}")


def _request(mail: Outgoing) -> dict[str, Any]:
    settings = load(NotificationsSettings)
    headers = {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Entity-Ref-ID": mail.reference,
    }
    return {
        "FromEmailAddress": formataddr((settings.mail_product_name, settings.mail_sender)),
        "Destination": {"ToAddresses": [_ascii_address(mail.recipient)]},
        "ReplyToAddresses": [settings.mail_reply_to],
        "Content": {
            "Simple": {
                "Subject": _utf8(mail.content.subject),
                "Body": {"Text": _utf8(mail.content.text), "Html": _utf8(mail.content.html)},
                "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
            }
        },
        "EmailTags": [{"Name": name, "Value": value} for name, value in mail.tags.items()],
        "ConfigurationSetName": resource_name(CONFIGURATION_SET),
    }


def _ascii_address(address: str) -> str:
    """Return an address with its domain in Punycode, as SES wants it (RFC 3492)."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise RejectedError("The recipient's domain is none.") from error


def _utf8(data: str) -> dict[str, str]:
    return {"Data": data, "Charset": "UTF-8"}
