"""The control API under `/_control`, for tests and tours: README.md lists its calls."""

import functools
import hmac
import itertools
from collections.abc import Callable
from typing import Any

from chalice.app import Blueprint, Response

from sandbox import faults, form, oracle, providers, settings, storage, webhooks
from sandbox.providers import Variant
from sandbox.storage import Json, WebhookEndpoint

PREFIX = "/_control"
MOST_LISTED = 1000
MOST_SENT = 50
KEPT_MODELS = {"webhooks": WebhookEndpoint}

blueprint = Blueprint(__name__)


class Refused(Exception):
    """The call cannot be done."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def route(
    method: str, path: str, into: Blueprint = blueprint
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Serve a function under the control prefix, to callers who have the token."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def guarded(**ids: str) -> Response:
            try:
                _authorise(blueprint.current_request.headers.get("x-control-token", ""))
                return Response(function(**ids))
            except Refused as refusal:
                return Response({"error": str(refusal)}, status_code=refusal.status)
            except faults.InvalidFault as invalid:
                return Response({"error": str(invalid)}, status_code=400)

        into.route(
            PREFIX + path,
            methods=[method],
            name=f"control.{function.__name__}",
            content_types=["*/*"],
        )(guarded)
        return function

    return decorate


@route("POST", "/faults")
def add_fault() -> Json:
    """Arm a fault."""
    return faults.add(json_body()).shown()


@route("GET", "/faults")
def list_faults() -> Json:
    """The armed faults."""
    return {"data": [fault.shown() for fault in faults.listed()]}


@route("DELETE", "/faults")
def clear_faults() -> Json:
    """Disarm all faults."""
    return {"deleted": faults.clear()}


@route("DELETE", "/faults/{fault_id}")
def delete_fault(fault_id: str) -> Json:
    """Disarm one fault."""
    if not faults.clear(fault_id):
        raise Refused(404, f"no fault {fault_id}")
    return {"deleted": 1}


@route("GET", "/log")
def read_log() -> Json:
    """The requests that were made, newest first, and the charges that they made."""
    query = _query()
    wanted = oracle.Filter(
        provider=query.get("provider"),
        method=query.get("method"),
        path=query.get("path"),
        customer=query.get("customer"),
        metadata=query.get("metadata", {}),
    )
    entries = oracle.read(wanted, _limit(query))
    return {"requests": entries, "charges": oracle.charges(entries)}


@route("GET", "/charges")
def list_charges() -> Json:
    """The charges of a provider as they stand now, newest first."""
    query = _query()
    customer, metadata = query.get("customer"), query.get("metadata", {})
    provider = providers.get(_provider(query))
    matching = (
        charge
        for charge in provider.charges()
        if customer in (None, charge["customer"]) and metadata.items() <= charge["metadata"].items()
    )
    return {"data": list(itertools.islice(matching, _limit(query)))}


@route("POST", "/reset")
def reset() -> Json:
    """Empty the table."""
    kept = json_body().get("keep", [])
    if not isinstance(kept, list) or not all(name in KEPT_MODELS for name in kept):
        raise Refused(400, f"keep: of {', '.join(KEPT_MODELS)}")
    return {"deleted": storage.clear(tuple(KEPT_MODELS[name] for name in kept))}


@route("POST", "/webhooks")
def add_webhook() -> Json:
    """Register a destination; only here is its secret shown."""
    body = json_body()
    url, events = body.get("url"), body.get("events", ["*"])
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise Refused(400, "url: an http or https address")
    if not isinstance(events, list) or not all(isinstance(name, str) for name in events):
        raise Refused(400, "events: a list of event types")
    secret = body.get("secret")
    if secret is not None and not isinstance(secret, str):
        raise Refused(400, "secret: a text")
    endpoint = webhooks.register(_provider(body), url, secret, events)
    return webhooks.shown(endpoint, reveal=True)


@route("GET", "/webhooks")
def list_webhooks() -> Json:
    """The destinations."""
    return {"data": [webhooks.shown(endpoint) for endpoint in webhooks.endpoints()]}


@route("DELETE", "/webhooks/{endpoint_id}")
def delete_webhook(endpoint_id: str) -> Json:
    """Forget a destination."""
    if not webhooks.remove(endpoint_id):
        raise Refused(404, f"no webhook {endpoint_id}")
    return {"deleted": 1}


@route("GET", "/deliveries")
def list_deliveries() -> Json:
    """The attempts to deliver webhooks, newest first."""
    from sandbox import delivery

    query = _query()
    return {"data": delivery.read(query.get("event_id"), _limit(query))}


@route("POST", "/deliveries")
def send_delivery() -> Json:
    """Send an event now, as often as asked and signed as asked; the answer tells the outcome."""
    from sandbox import delivery

    body = json_body()
    provider = _provider(body)
    times = body.get("times", 1)
    if type(times) is not int or not 1 <= times <= MOST_SENT:
        raise Refused(400, f"times: a number from 1 to {MOST_SENT}")
    try:
        variant = Variant(body.get("variant", Variant.GENUINE))
    except ValueError:
        raise Refused(400, f"variant: one of {', '.join(Variant)}") from None
    event = body.get("event")
    if event is not None:
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise Refused(400, "event: an object with a type")
        event = providers.get(provider).complete_event(event)
    else:
        try:
            event = delivery.stored_event(provider, str(body.get("event_id")))
        except delivery.UnknownEvent:
            raise Refused(404, f"no event {body.get('event_id')}") from None
    chosen = body.get("endpoint_id")
    targets = [
        endpoint
        for endpoint in webhooks.wanting(event["type"], webhooks.endpoints(provider))
        if chosen in (None, endpoint.sk)
    ]
    return {
        "data": [
            delivery.attempt(event, endpoint, variant) for _ in range(times) for endpoint in targets
        ]
    }


def _authorise(given: str) -> None:
    token = settings.control_token()
    if not token:
        raise Refused(403, "the control API is off: SANDBOX_CONTROL_TOKEN is not set")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Refused(401, "the control API needs its token in X-Control-Token")


def json_body() -> Json:
    """The JSON object that the caller sent."""
    request = blueprint.current_request
    if not request.raw_body:
        return {}
    body = request.json_body
    if not isinstance(body, dict):
        raise Refused(400, "the body is to be a JSON object")
    return body


def _query() -> Json:
    query = blueprint.current_request.query_params
    if query is None:
        return {}
    try:
        return form.nest((name, query[name]) for name in query)
    except form.InvalidForm as invalid:
        raise Refused(400, str(invalid)) from None


def _provider(body: Json) -> str:
    name = body.get("provider", "stripe")
    if name not in providers.names():
        raise Refused(400, f"provider: one of {', '.join(providers.names())}")
    return str(name)


def _limit(query: Json) -> int:
    limit = query.get("limit", "100")
    if not limit.isdigit() or not 1 <= int(limit) <= MOST_LISTED:
        raise Refused(400, f"limit: a number from 1 to {MOST_LISTED}")
    return int(limit)
