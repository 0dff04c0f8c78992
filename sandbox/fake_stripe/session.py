"""One request's view of the Stripe account: what it reads, changes and announces."""

import copy
from dataclasses import dataclass, field

from sandbox.fake_stripe import errors, schema
from sandbox.faults import ArmedFaults
from sandbox.identifiers import new_id
from sandbox.storage import Json, StoredObject, UnitOfWork, now

PROVIDER = "stripe"

TYPE_OF_PREFIX = {
    "ch": "charge",
    "cus": "customer",
    "evt": "event",
    "pi": "payment_intent",
    "pm": "payment_method",
    "re": "refund",
    "setatt": "setup_attempt",
    "seti": "setup_intent",
    "txn": "balance_transaction",
}
_PREFIX_OF_TYPE = {object_type: prefix for prefix, object_type in TYPE_OF_PREFIX.items()}
# What Stripe calls the id in the path when it names nothing.
_PATH_PARAM = {"payment_intent": "intent", "setup_intent": "intent"}


def type_of(object_id: str) -> str | None:
    """The object type that an id's prefix tells."""
    return TYPE_OF_PREFIX.get(object_id.rpartition("_")[0])


@dataclass
class Session:
    """The account as one request sees and changes it; the gateway commits it."""

    work: UnitOfWork
    faults: ArmedFaults
    request_id: str
    idempotency_key: str | None = None
    publishable: bool = False
    now: int = field(default_factory=now)
    events: list[Json] = field(default_factory=list)
    effects: list[Json] = field(default_factory=list)

    def find(self, object_type: str, object_id: str) -> StoredObject | None:
        """The object of an id, if there is one of that type."""
        if type_of(object_id) != object_type:
            return None
        return self.work.get(object_type, object_id)

    def named_in_path(self, object_type: str, object_id: str) -> StoredObject:
        """The object that the path names, or 404."""
        found = self.find(object_type, object_id)
        if found is None:
            param = _PATH_PARAM.get(object_type, "id")
            raise errors.no_such(object_type, object_id, param, status=404)
        return found

    def named_in_param(self, object_type: str, object_id: str, param: str) -> StoredObject:
        """The object that a parameter names, or 400."""
        found = self.find(object_type, object_id)
        if found is None or found.body.get("deleted"):
            raise errors.no_such(object_type, object_id, param)
        return found

    def new_id(self, object_type: str) -> str:
        """A new id of an object type."""
        return new_id(_PREFIX_OF_TYPE[object_type])

    def add(self, body: Json, private: Json | None = None) -> StoredObject:
        """Put a new object into the account."""
        return self.work.add(body["object"], body["id"], body, private or {})

    def change(self, stored: StoredObject) -> None:
        """Keep what was changed of an object."""
        self.work.change(stored)

    def emit(self, event_type: str, body: Json, previous: Json | None = None) -> None:
        """Announce something with a snapshot of the object as it is now."""
        data: Json = {"object": copy.deepcopy(body)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = {
            "id": self.new_id("event"),
            "object": "event",
            "api_version": schema.api_version(),
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": event_type,
        }
        self.events.append(event)
        self.add(event)
