"""What the subscribers do: write and send the mail of an event, send what was withheld."""

from contracts.events import REGISTRY, Event
from kernel.observability import logger
from notifications.composition import compose
from notifications.delivery import deliver
from notifications.tables import MailRecord


def send(event: Event) -> None:
    """Send the mail of an event, once; raises MailError when it must be tried again."""
    deliver(compose(event))


def release(tenant_id: str) -> None:
    """Send what was withheld while the tenant was suspended. One query, then each mail's calls.

    Called after every lifted suspension; what another one still closes is withheld again.
    """
    withheld = MailRecord.withheld(tenant_id)
    for record in withheld:
        event = REGISTRY[record.event_type].model_validate_json(record.event or "")
        send(event)
    logger.info("Released mails", count=len(withheld))
