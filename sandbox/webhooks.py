"""Webhook endpoints, and handing a request's events over to be delivered.

A Lambda is frozen once it has answered, so delivery runs in an invocation of its own: the function
invokes itself asynchronously. Elsewhere a thread delivers. Tests put a dispatcher of their own into
`outbox` and deliver when they want.
"""

import functools
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sandbox import faults, settings
from sandbox.faults import ArmedFaults
from sandbox.identifiers import new_id, random_text
from sandbox.masking import mask
from sandbox.providers import Variant
from sandbox.storage import Json, WebhookEndpoint, now

LOGGER = logging.getLogger(__name__)
PARTITION = "WEBHOOKS"


@dataclass(frozen=True)
class Task:
    """One event to be sent to one endpoint, so many seconds from now."""

    provider: str
    event_id: str
    endpoint_id: str
    variant: str = Variant.GENUINE.value
    delay_seconds: float = 0


Dispatcher = Callable[[list[Task]], None]


def register(provider: str, url: str, secret: str | None, events: list[str]) -> WebhookEndpoint:
    """Add a destination; without a secret one is made."""
    endpoint = WebhookEndpoint(
        PARTITION,
        new_id("we"),
        provider=provider,
        url=url,
        secret=secret or f"whsec_{random_text(32)}",
        events=events,
        created=now(),
    )
    endpoint.save()
    return endpoint


def endpoints(provider: str | None = None) -> list[WebhookEndpoint]:
    """The destinations of a provider, or all of them."""
    found = WebhookEndpoint.query(PARTITION, consistent_read=True)
    return [endpoint for endpoint in found if provider in (None, endpoint.provider)]


def remove(endpoint_id: str) -> bool:
    """Forget a destination; False if it is not known."""
    try:
        WebhookEndpoint.get(PARTITION, endpoint_id).delete()
    except WebhookEndpoint.DoesNotExist:
        return False
    return True


def shown(endpoint: WebhookEndpoint, *, reveal: bool = False) -> Json:
    """A destination as the control API shows it; its secret only when it was just made."""
    return {
        "id": endpoint.sk,
        "provider": endpoint.provider,
        "url": endpoint.url,
        "secret": endpoint.secret if reveal else mask(endpoint.secret),
        "events": endpoint.events,
        "created": int(endpoint.created),
    }


def wanting(event_type: str, candidates: list[WebhookEndpoint]) -> list[WebhookEndpoint]:
    """The destinations that want an event."""
    return [each for each in candidates if faults.matches_event(each.events, event_type)]


def plan(
    provider: str, events: list[Json], candidates: list[WebhookEndpoint], armed: ArmedFaults
) -> list[Task]:
    """Which deliveries the events of a request cause, after the webhook faults."""
    tasks: list[Task] = []
    reordered = False
    for event in events:
        kind = event["type"]
        if armed.take("no_webhooks", event_type=kind):
            continue
        signed_badly = armed.take("bad_signature", event_type=kind)
        late = armed.take("late_webhooks", event_type=kind)
        duplicated = armed.take("duplicate_webhooks", event_type=kind)
        reordered = bool(armed.take("reorder_webhooks", event_type=kind)) or reordered
        for endpoint in wanting(kind, candidates):
            task = Task(
                provider,
                event["id"],
                endpoint.sk,
                (Variant.FORGED if signed_badly else Variant.GENUINE).value,
                late.options["seconds"] if late else 0,
            )
            tasks += [task] * (1 + (duplicated.options["count"] if duplicated else 0))
    return tasks[::-1] if reordered else tasks


class Outbox:
    """Hands tasks over to be delivered after a request, whose answer does not depend on it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher

    def post(self, tasks: list[Task]) -> None:
        """Hand over some tasks."""
        if not tasks:
            return
        try:
            self.dispatcher(tasks)
        except Exception:
            LOGGER.exception("webhooks were not handed over: %s", tasks)


def payload(tasks: list[Task]) -> Json:
    """The event that makes the sandbox's Lambda deliver some tasks."""
    return {"deliver": [asdict(task) for task in tasks]}


def tasks_of(event: Json) -> list[Task]:
    """The tasks of such an event."""
    return [Task(**task) for task in event["deliver"]]


def _invoke_this_function(tasks: list[Task]) -> None:
    _lambda_client().invoke(
        FunctionName=settings.function_name(),
        InvocationType="Event",
        Payload=json.dumps(payload(tasks)).encode(),
    )


def _start_thread(tasks: list[Task]) -> None:
    from sandbox import delivery

    threading.Thread(target=delivery.deliver, args=(tasks,), daemon=True).start()


@functools.cache
def _lambda_client() -> Any:
    import botocore.session

    return botocore.session.get_session().create_client("lambda", region_name=settings.REGION)


outbox = Outbox(_invoke_this_function if settings.function_name() else _start_thread)
