"""From an HTTP request to its answer: authentication, faults, idempotency, the work, the log."""

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chalice.app import Request, Response

from sandbox import form, idempotency, oracle, webhooks
from sandbox.fake_stripe import authentication, errors, expansion, schema
from sandbox.fake_stripe.errors import ApiError
from sandbox.fake_stripe.session import PROVIDER, Session, type_of
from sandbox.faults import ArmedFaults, Fault, Subject
from sandbox.idempotency import Claim, KeyInUse, KeyReused, Replay
from sandbox.identifiers import new_id
from sandbox.masking import masked
from sandbox.storage import Conflict, Json, UnitOfWork

LOGGER = logging.getLogger(__name__)

LONGEST_KEY = 255
COMMIT_ATTEMPTS = 8
FORM = "application/x-www-form-urlencoded"

# What Stripe.js sends beside the documented parameters. A server cannot describe a card in
# `payment_method_data`: the SDK's types do not have it.
BROWSER_PARAMS = frozenset(
    {"client_secret", "expected_payment_method_type", "key", "payment_method_data"}
)
SUBJECT_PARAMS = ("customer", "payment_intent", "charge", "setup_intent", "payment_method")

LOCK_TIMEOUT = (
    "This object cannot be accessed right now because another API request or Stripe process is "
    "currently accessing it. If you see this error intermittently, retry the request. If you see "
    "this error frequently and are making multiple concurrent requests to a single object, make "
    "your requests serially or at a lower rate. For more details, see "
    "https://stripe.com/docs/rate-limits#object-lock-timeouts."
)
GATEWAY_TIMEOUT = json.dumps({"message": "Endpoint request timed out"})

sleep: Callable[[float], None] = time.sleep  # tests replace it


@dataclass(frozen=True)
class Operation:
    """One endpoint: its name in params.json, its route, what runs it, what it acts on."""

    name: str
    method: str
    path: str
    run: Callable[..., Json]
    acts_on: frozenset[str] = frozenset()
    publishable: bool = False


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: Json


@dataclass
class Call:
    """A request to an operation, as far as it is understood."""

    operation: Operation
    path: str
    ids: dict[str, str]
    request_id: str
    idempotency_key: str | None
    raw: Json = field(default_factory=dict)
    params: Json = field(default_factory=dict)
    publishable: bool = False
    replayed: bool = False
    headers: dict[str, str | list[str]] = field(default_factory=dict)

    def subject(self) -> Subject:
        """Whom the call is about, with the metadata of everything that it names."""
        work = UnitOfWork(PROVIDER)
        ids = [*self.ids.values(), *(self.raw.get(name) for name in SUBJECT_PARAMS)]
        found = [
            stored.body
            for each in ids
            if isinstance(each, str)
            and (kind := type_of(each))
            and (stored := work.get(kind, each))
        ]
        customer = next(filter(None, map(_customer_of, found)), None) or self.raw.get("customer")
        if isinstance(customer, str) and (stored := work.get("customer", customer)):
            found.insert(0, stored.body)
        merged: dict[str, str] = {}
        for body in [*found, self.raw]:
            if isinstance(body.get("metadata"), dict):
                merged.update(body["metadata"])
        return Subject(customer, merged)


def serve(operation: Operation, request: Request) -> Response:
    """Answer a request."""
    call = _call(operation, request)
    try:
        _understand(call, request)
        armed = ArmedFaults(PROVIDER, operation.method, call.path, call.subject)
        injected = armed.take("status")
        if injected:
            return _refuse(call, _injected(injected), armed)
        call.params = _validated(call)
    except ApiError as error:
        return _refuse(call, error)
    claim = None
    try:
        if call.idempotency_key and not armed.take("forget_idempotency"):
            claimed = _claim(call)
            if isinstance(claimed, Replay):
                return _replay(call, claimed, armed)
            claim = claimed
        if slow := armed.take("slow"):
            sleep(slow.options["seconds"])
        return _work(call, claim, armed)
    except ApiError as error:
        if claim:
            claim.release()
        return _refuse(call, error, armed)
    except Exception:
        LOGGER.exception("the sandbox failed at %s %s", operation.method, call.path)
        if claim:
            claim.release()
        return _refuse(call, _internal_error(), armed)


def settle(session: Session, path: str, answer: Answer) -> None:
    """Commit, log and announce what the control API did to the account; raises Conflict."""
    operation = Operation("control", "POST", path, dict)
    call = Call(operation, path, {}, session.request_id, None)
    tasks = _plan(session)
    session.work.record(oracle.item(_entry(call, answer, None, session.faults, session.effects)))
    session.work.commit()
    webhooks.outbox.post(tasks)


def _call(operation: Operation, request: Request) -> Call:
    ids = dict(request.uri_params or {})
    key = request.headers.get("idempotency-key") if operation.method == "POST" else None
    request_id = new_id("req")
    headers: dict[str, str | list[str]] = {
        "Access-Control-Allow-Origin": "*",
        "Content-Type": "application/json",
        "Request-Id": request_id,
        "Stripe-Version": schema.api_version(),
    }
    if key:
        headers["Idempotency-Key"] = key
    return Call(operation, operation.path.format(**ids), ids, request_id, key, headers=headers)


def _understand(call: Call, request: Request) -> None:
    """Who calls, with which API version and parameters."""
    call.raw = _parsed(request)
    key_in_form = call.raw.get("key")
    call.publishable = authentication.is_publishable(
        request.headers,
        key_in_form if isinstance(key_in_form, str) else None,
        publishable_allowed=call.operation.publishable,
    )
    version = request.headers.get("stripe-version")
    if version and version != schema.api_version():
        raise ApiError(
            400,
            f"Invalid Stripe API version: {version}. The sandbox speaks {schema.api_version()}.",
        )
    if call.idempotency_key and len(call.idempotency_key) > LONGEST_KEY:
        raise ApiError(400, f"Idempotency keys can have up to {LONGEST_KEY} characters.")


def _parsed(request: Request) -> Json:
    try:
        return _nested(request)
    except form.InvalidForm as invalid:
        raise ApiError(400, str(invalid), param=invalid.name) from None


def _nested(request: Request) -> Json:
    if request.method != "POST":
        query = request.query_params
        if query is None:
            return {}
        return form.nest((name, value) for name in query for value in query.getlist(name))
    body = request.raw_body
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    if text and not request.headers.get("content-type", FORM).startswith(FORM):
        raise ApiError(
            400,
            f"Invalid request (check that your POST content type is {FORM}). If you have any "
            "questions, we can help at https://support.stripe.com/.",
        )
    return form.parse(text)


def _validated(call: Call) -> Json:
    raw = call.raw
    browser = {}
    if call.publishable:
        browser = {name: raw[name] for name in BROWSER_PARAMS & set(raw)}
        raw = {name: value for name, value in raw.items() if name not in BROWSER_PARAMS}
        if "payment_method_data" in browser:
            described = browser["payment_method_data"]
            browser["payment_method_data"] = schema.validate("payment_method.create", described)
    params = schema.validate(call.operation.name, raw)
    passive = {name for name, value in params.items() if value is None}
    ignored = set(params) - call.operation.acts_on - passive - {"client_secret", "expand"}
    if ignored:
        raise errors.unimplemented(call.operation.name, sorted(ignored))
    return params | browser


def _claim(call: Call) -> Claim | Replay:
    key = call.idempotency_key or ""
    try:
        return idempotency.claim(PROVIDER, key, call.path, call.raw, call.request_id)
    except KeyInUse:
        raise ApiError(
            409,
            "There is currently another in-progress request using this Idempotent Key (that "
            "probably means you submitted twice, and the other request is still going through): "
            f"{key}. Please try again later.",
            kind=errors.IDEMPOTENCY_ERROR,
            code="idempotency_key_in_use",
        ) from None
    except KeyReused as reuse:
        same = (
            f"endpoint they were first used for ('{call.path}' vs '{reuse.other_endpoint}')"
            if reuse.other_endpoint
            else "parameters they were first used with"
        )
        raise ApiError(
            400,
            f"Keys for idempotent requests can only be used with the same {same}. Try using a key "
            f"other than '{key}' if you meant to execute a different request.",
            kind=errors.IDEMPOTENCY_ERROR,
        ) from None


def _work(call: Call, claim: Claim | None, armed: ArmedFaults) -> Response:
    """Run the operation and commit it; again from the start if it lost a race."""
    for attempt in range(COMMIT_ATTEMPTS):
        session = Session(
            UnitOfWork(PROVIDER),
            armed,
            call.request_id,
            idempotency_key=call.idempotency_key,
            publishable=call.publishable,
        )
        answer = _run(call, session)
        tasks = _plan(session)
        spoiling = _spoiling(call, answer, armed)
        session.work.record(oracle.item(_entry(call, answer, spoiling, armed, session.effects)))
        if claim:
            claim.complete(session.work, {"status": answer.status, "body": answer.body})
        try:
            session.work.commit()
        except Conflict:
            sleep((10 + secrets.randbelow(40)) * (attempt + 1) / 1000)
            continue
        webhooks.outbox.post(tasks)
        return _send(call, answer, spoiling)
    call.headers["Stripe-Should-Retry"] = "true"
    raise ApiError(429, LOCK_TIMEOUT, code="lock_timeout")


def _run(call: Call, session: Session) -> Answer:
    try:
        body = call.operation.run(session, call.params, **call.ids)
        body = expansion.expand(session, body, call.params.get("expand", []))
    except ApiError as error:
        if not error.persists:
            session.work.discard()
            session.events.clear()
            session.effects.clear()
        return _error_answer(call, error)
    # What follows may still change the objects; the answer is what they are now.
    return Answer(200, json.loads(json.dumps(body)))


def _replay(call: Call, replay: Replay, armed: ArmedFaults) -> Response:
    call.replayed = True
    call.headers |= {"Idempotent-Replayed": "true", "Original-Request": replay.request_id}
    answer = Answer(replay.answer["status"], replay.answer["body"])
    spoiling = _spoiling(call, answer, armed)
    oracle.item(_entry(call, answer, spoiling, armed, [])).save()
    return _send(call, answer, spoiling)


def _refuse(call: Call, error: ApiError, armed: ArmedFaults | None = None) -> Response:
    """An error before or instead of any work."""
    answer = _error_answer(call, error)
    oracle.item(_entry(call, answer, None, armed, [])).save()
    return _send(call, answer, None)


def _spoiling(call: Call, answer: Answer, armed: ArmedFaults) -> Fault | None:
    """The fault that spoils the answer of a success, if one is armed."""
    if answer.status >= 300:
        return None
    if call.operation.method != "GET" and (lost := armed.take("timeout_after_success", "drop")):
        return lost
    return armed.take("corrupt")


def _send(call: Call, answer: Answer, spoiling: Fault | None) -> Response:
    text = json.dumps(answer.body, indent=2)
    if spoiling is None:
        return Response(text, call.headers, answer.status)
    if spoiling.kind == "corrupt":
        return Response(text[: len(text) // 2], call.headers, answer.status)
    sleep(spoiling.options["seconds"])
    return Response(GATEWAY_TIMEOUT, {"Content-Type": "application/json"}, 504)


def _entry(
    call: Call,
    answer: Answer,
    spoiling: Fault | None,
    armed: ArmedFaults | None,
    effects: list[Json],
) -> Json:
    """The request for the log."""
    error = answer.body.get("error")
    body = (
        (error.get("payment_intent") or error.get("setup_intent") or {}) if error else answer.body
    )
    metadata = {}
    for source in (call.raw, body):
        if isinstance(source.get("metadata"), dict):
            metadata.update(source["metadata"])
    customer = _customer_of(body) or call.raw.get("customer")
    if customer is None and effects:
        customer = effects[0]["customer"]
    if customer is None and error and armed and armed.taken:
        customer = call.subject().customer
    lost = spoiling is not None and spoiling.kind != "corrupt"
    return {
        "provider": PROVIDER,
        "request_id": call.request_id,
        "method": call.operation.method,
        "path": call.path,
        "params": masked(call.raw),
        "idempotency_key": call.idempotency_key,
        "status": 504 if lost else answer.status,
        "performed_status": answer.status,
        "error": error and (error.get("code") or error["type"]),
        "object": None if error else body.get("id"),
        "replayed": call.replayed,
        "faults": armed.taken if armed else [],
        "customer": customer if isinstance(customer, str) else None,
        "metadata": metadata,
        "effects": effects,
    }


def _error_answer(call: Call, error: ApiError) -> Answer:
    log_url = f"https://dashboard.stripe.com/test/logs/{call.request_id}"
    body = {"error": {**error.body(), "request_log_url": log_url}}
    return Answer(error.status, json.loads(json.dumps(body)))


def _injected(fault: Fault) -> ApiError:
    status = fault.options["status"]
    if status == 429:
        return ApiError(429, "Request rate limit exceeded.", code="rate_limit")
    return ApiError(status, "An error occurred (injected).", kind=errors.API_ERROR)


def _internal_error() -> ApiError:
    return ApiError(500, "The sandbox itself failed; see its log.", kind=errors.API_ERROR)


def _plan(session: Session) -> list[webhooks.Task]:
    """The webhooks that a session's events cause, after the faults."""
    if not session.events:
        return []
    endpoints = webhooks.endpoints(PROVIDER)
    for event in session.events:
        event["pending_webhooks"] = len(webhooks.wanting(event["type"], endpoints))
    return webhooks.plan(PROVIDER, session.events, endpoints, session.faults)


def _customer_of(body: Json) -> str | None:
    owner = body.get("id") if body.get("object") == "customer" else body.get("customer")
    if isinstance(owner, dict):
        owner = owner.get("id")
    return owner if isinstance(owner, str) else None
