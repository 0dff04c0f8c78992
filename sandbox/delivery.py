"""Sending webhooks, and the record of every attempt."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from sandbox import providers, settings, webhooks
from sandbox.identifiers import new_id
from sandbox.providers import Message, Variant
from sandbox.storage import (
    LOG_KEPT,
    DeliveryRecord,
    Json,
    StoredObject,
    WebhookEndpoint,
    expiry,
    now,
)
from sandbox.webhooks import Task

PARTITION = "DELIVERIES"

Sender = Callable[[str, Message], int]


@dataclass
class Clock:
    """Waits in real time; tests replace it."""

    sleep: Callable[[float], None] = time.sleep


class UnknownEvent(LookupError):
    """There is no such event."""


def deliver(tasks: list[Task]) -> list[Json]:
    """Carry out deliveries in order, each at its time, genuine ones with retries."""
    attempts: list[Json] = []
    waited = 0.0
    for task in sorted(tasks, key=lambda each: each.delay_seconds):
        clock.sleep(max(0.0, task.delay_seconds - waited))
        waited = max(waited, task.delay_seconds)
        event = stored_event(task.provider, task.event_id)
        try:
            endpoint = WebhookEndpoint.get(webhooks.PARTITION, task.endpoint_id)
        except WebhookEndpoint.DoesNotExist:
            continue  # unregistered since
        retries = settings.webhook_retry_seconds() if task.variant == Variant.GENUINE else ()
        for wait in (0.0, *retries):
            clock.sleep(wait)
            attempts.append(attempt(event, endpoint, Variant(task.variant)))
            if attempts[-1]["succeeded"]:
                break
    return attempts


def attempt(event: Json, endpoint: WebhookEndpoint, variant: Variant) -> Json:
    """Send an event once and record what happened."""
    message = providers.get(endpoint.provider).message(event, endpoint.secret, variant, now())
    status, failure = None, None
    try:
        status = sender(endpoint.url, message)
    except requests.RequestException as error:
        failure = type(error).__name__
    detail = {
        "id": new_id("dlv"),
        "at": datetime.now(UTC).isoformat(),
        "provider": endpoint.provider,
        "event_id": event["id"],
        "event_type": event["type"],
        "endpoint_id": endpoint.sk,
        "url": endpoint.url,
        "variant": variant.value,
        "status": status,
        "failure": failure,
        "succeeded": status is not None and 200 <= status < 300,
    }
    DeliveryRecord(PARTITION, detail["id"], detail=detail, expires_at=expiry(LOG_KEPT)).save()
    return detail


def read(event_id: str | None, limit: int) -> list[Json]:
    """The latest attempts, newest first, of one event or of all."""
    found: list[Json] = []
    for record in DeliveryRecord.query(PARTITION, scan_index_forward=False, consistent_read=True):
        if len(found) == limit:
            break
        if event_id in (None, record.detail["event_id"]):
            found.append(record.detail)
    return found


def stored_event(provider: str, event_id: str) -> Json:
    """The event of an id."""
    try:
        stored = StoredObject.get(f"{provider}#event", event_id, consistent_read=True)
    except StoredObject.DoesNotExist:
        raise UnknownEvent(event_id) from None
    return stored.body


def _post(url: str, message: Message) -> int:
    timeout = settings.webhook_timeout_seconds()
    response = requests.post(
        url,
        data=message.body,
        headers=message.headers,
        timeout=timeout,
        allow_redirects=False,
    )
    return response.status_code


clock = Clock()
sender: Sender = _post
