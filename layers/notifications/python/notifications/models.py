"""What the API shows, and what SES tells by EventBridge."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class CapturedMail(BaseModel):
    """A mail of a test tenant: written like any other, and not sent to anybody."""

    id: str = Field(examples=["mail_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    event_id: str = Field(
        description="The event that it is about.", examples=["evt_01jd3v8m5ke5c8qv0m5w6r3x2y"]
    )
    template: str = Field(examples=["receipt"])
    status: str = Field(
        description="`captured`; or why it would not have been sent (`suppressed`, `withheld`).",
        examples=["captured"],
    )
    to: str = Field(examples=["owner@acme.example"])
    subject: str = Field(examples=["Your receipt: $10.00"])
    text: str
    html: str
    created_at: datetime


class _SesModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Bounce(_SesModel):
    """A mail that did not arrive; only a permanent one says something about the address."""

    bounceType: str = "Undetermined"  # noqa: N815 - SES's name
    bounceSubType: str | None = None  # noqa: N815


class Complaint(_SesModel):
    """Somebody says that the mail was unwanted; `not-spam` says that it was not."""

    complaintFeedbackType: str | None = None  # noqa: N815


class SesMail(_SesModel):
    """The mail that an event is about; the values of tags are lists."""

    messageId: str  # noqa: N815
    destination: tuple[str, ...] = ()
    tags: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def tag(self, name: str) -> str | None:
        """Return the value of a tag, or None."""
        return next(iter(self.tags.get(name, ())), None)


class SesEvent(_SesModel):
    """What happened to a mail: event publishing says `eventType`, feedback `notificationType`."""

    type: str = Field(validation_alias=AliasChoices("eventType", "notificationType"))
    mail: SesMail
    bounce: Bounce | None = None
    complaint: Complaint | None = None
    reject: dict[str, Any] | None = None
    deliveryDelay: dict[str, Any] | None = None  # noqa: N815


class SesNotification(_SesModel):
    """SES's event as EventBridge delivers it."""

    source: Literal["aws.ses"]
    detail: SesEvent
