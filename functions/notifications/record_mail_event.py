"""On SES's events, by way of EventBridge: record what became of a mail, spare bad addresses."""

from kernel.triggers import consumer
from notifications import feedback
from notifications.models import SesNotification


@consumer("ses-events")
def handler(message: SesNotification) -> None:
    feedback.record(message)
