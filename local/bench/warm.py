"""Warm time of the shipped handler, against FastAPI and Mangum doing the same.

The rival has the same pydantic models, the same check of the JWT (PyJWT, ES256) and one JSON log
line, and runs the same admission and operation: both pay for the same DynamoDB calls, whose
transport alone is replaced. A second figure leaves these calls out of both.
"""

import contextlib
import io
import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from unittest.mock import patch

import jwt
from fastapi import Depends, FastAPI, Header
from mangum import Mangum

from local.bench.figures import Figure
from local.bench.offline import ISSUER, SESSION, TENANT, USER, Offline

ROUNDS = 25
CALLS = 100


def measure(offline: Offline) -> list[Figure]:
    """Return the warm ratios; both sides take turns in the same process."""
    ours = partial(offline.handle, offline.bearer)
    theirs = partial(_rival(offline), offline.event(offline.bearer), None)
    for side in (ours, theirs):
        answer = side()
        if answer["statusCode"] != 200:
            raise RuntimeError(f"A warm call failed: {answer}")
    with _silenced():
        whole = _ratio(ours, theirs)
        with _without_dynamodb():
            bare = _ratio(ours, theirs)
    return [
        Figure(
            name="warm_endpoint",
            value=round(whole, 3),
            unit="ratio of median processor times",
            baseline="FastAPI + Mangum: same validation, JWT check, log line, DynamoDB calls",
            target=1.0,
        ),
        Figure(
            name="warm_endpoint_without_dynamodb",
            value=round(bare, 3),
            unit="ratio of median processor times",
            baseline="FastAPI + Mangum: same validation, JWT check, log line",
            target=1.0,
        ),
    ]


def _ratio(ours: Callable[[], Any], theirs: Callable[[], Any]) -> float:
    mine, other = [], []
    for _ in range(ROUNDS):
        mine.append(_seconds(ours))
        other.append(_seconds(theirs))
    return statistics.median(mine) / statistics.median(other)


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - begun


def _rival(offline: Offline) -> Callable[[Any, Any], dict[str, Any]]:
    """Build the same endpoint on FastAPI and Mangum, from the same domain code."""
    from identity import tenants
    from identity.models.tenants import Tenant, UpdateTenant
    from kernel import gate
    from kernel.gate import Access
    from kernel.ids import new_id
    from kernel.observability import mask
    from kernel.permissions import of_role
    from kernel.principals import Caller

    app = FastAPI()
    log = logging.getLogger("rival")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.StreamHandler(io.StringIO()))
    public_key = offline.private_key.public_key()

    async def authenticate(authorization: Annotated[str, Header()]) -> Caller:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "),
            public_key,
            algorithms=["ES256"],
            audience="mailroom:tenant",
            issuer=ISSUER,
        )
        gate.admit_user(TENANT, USER, SESSION, claims["iat"], "PATCH /v1/tenant", Access.CLOSED)
        return Caller(
            tenant_id=claims["tid"],
            user_id=claims["sub"],
            session_id=claims["sid"],
            role=claims["role"],
            permissions=of_role(claims["role"]),
        )

    @app.patch("/v1/tenant")
    async def update(
        body: UpdateTenant, caller: Annotated[Caller, Depends(authenticate)]
    ) -> Tenant:
        updated = tenants.update(caller, body)
        line = {
            "level": "INFO",
            "message": "Request",
            "timestamp": datetime.now(UTC).isoformat(),
            "service": "rival",
            "request_id": new_id("req"),
            "route": "PATCH /v1/tenant",
            "tenant_id": caller.tenant_id,
            "status": 200,
        }
        log.info(mask(json.dumps(line)))
        return updated

    rival: Callable[[Any, Any], dict[str, Any]] = Mangum(app, lifespan="off")
    return rival


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep the log lines, which both sides write, off the terminal."""
    from kernel.observability import logger

    handler: Any = logger.handlers[0]
    stream, handler.stream = handler.stream, io.StringIO()
    try:
        yield
    finally:
        handler.stream = stream


@contextlib.contextmanager
def _without_dynamodb() -> Iterator[None]:
    """Answer admission and operation from memory, on both sides."""
    from identity import tenants
    from kernel import gate

    admission = gate.Admission(100, 98, 0)
    with (
        patch.object(gate, "admit_user", return_value=admission),
        patch.object(tenants, "update", return_value=tenants.describe(tenants.find(TENANT))),
    ):
        yield
