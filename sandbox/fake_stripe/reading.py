"""Reading objects by id, and the lists of events and balance transactions."""

from collections.abc import Callable

from sandbox.fake_stripe import listing
from sandbox.fake_stripe.session import Session
from sandbox.faults import matches_event
from sandbox.storage import Json


def by_id(object_type: str) -> Callable[..., Json]:
    """What runs `GET /v1/<objects>/{id}` where nothing else is to be thought of."""

    def retrieve(session: Session, _params: Json, **ids: str) -> Json:
        (object_id,) = ids.values()
        return session.named_in_path(object_type, object_id).body

    return retrieve


def list_events(session: Session, params: Json) -> Json:
    """GET /v1/events: of one `type` (`charge.*` is one) or of up to twenty `types`."""
    kind = params.get("type")
    types = params.get("types") or ([kind] if kind else ["*"])
    return listing.page(
        session,
        "event",
        params,
        "/v1/events",
        lambda stored: matches_event(types, stored.body["type"]),
    )


def list_transactions(session: Session, params: Json) -> Json:
    """GET /v1/balance_transactions."""
    source, kind = params.get("source"), params.get("type")
    return listing.page(
        session,
        "balance_transaction",
        params,
        "/v1/balance_transactions",
        lambda stored: (
            source in (None, stored.body["source"]) and kind in (None, stored.body["type"])
        ),
    )
