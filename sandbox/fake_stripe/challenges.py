"""The end of a 3-D Secure challenge: in life on the issuer's page, here told to the control API."""

from chalice.app import Blueprint

from sandbox import control
from sandbox.control import Refused
from sandbox.fake_stripe import gateway, intents, payment_intents, setup_intents
from sandbox.fake_stripe.errors import ApiError
from sandbox.fake_stripe.gateway import Answer
from sandbox.fake_stripe.session import PROVIDER, Session, type_of
from sandbox.faults import ArmedFaults, Subject
from sandbox.identifiers import new_id
from sandbox.storage import Conflict, Json, UnitOfWork

_AUTHENTICATE = {
    "payment_intent": payment_intents.authenticate,
    "setup_intent": setup_intents.authenticate,
}


blueprint = Blueprint(__name__)


@control.route("POST", "/stripe/intents/{intent_id}/authenticate", into=blueprint)
def authenticate(intent_id: str) -> Json:
    """The customer passes or fails the challenge; the answer is the intent."""
    outcome = control.json_body().get("outcome", "succeed")
    if outcome not in ("succeed", "fail"):
        raise Refused(400, "outcome: succeed or fail")
    kind = type_of(intent_id) or ""
    work = UnitOfWork(PROVIDER)
    stored = work.get(kind, intent_id) if kind in _AUTHENTICATE else None
    if stored is None:
        raise Refused(404, f"no intent {intent_id}")
    intent = stored.body
    if intent["status"] != intents.REQUIRES_ACTION:
        raise Refused(409, f"the intent waits for no challenge: {intent['status']}")
    path = f"{control.PREFIX}/stripe/intents/{intent_id}/authenticate"
    armed = ArmedFaults(
        PROVIDER, "POST", path, lambda: Subject(intent["customer"], intent["metadata"])
    )
    session = Session(work, armed, new_id("req"))
    try:
        _AUTHENTICATE[kind](session, stored, succeeds=outcome == "succeed")
    except ApiError as error:
        if not error.persists:
            raise Refused(error.status, error.message) from None
    try:
        gateway.settle(session, path, Answer(200, intent))
    except Conflict:
        raise Refused(409, "the intent changed meanwhile") from None
    return stored.body
