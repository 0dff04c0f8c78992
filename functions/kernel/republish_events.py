"""Step for operators: send a tenant's events of a time to the bus again.

Invoked directly, and again with the `after` that it returned until that is null.
"""

import json
from pathlib import Path

from contracts.kernel import EventsRepublished, RepublishEvents
from kernel import outbox
from kernel.triggers import step

SUBSCRIBERS = json.loads(Path(__file__).with_name("subscribers.json").read_text())


@step
def handler(order: RepublishEvents) -> EventsRepublished:
    published, after = outbox.republish(
        order.tenant_id, order.since, order.until, SUBSCRIBERS, after=order.after
    )
    return EventsRepublished(published=published, after=after)
