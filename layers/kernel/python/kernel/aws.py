"""botocore clients, created on first use and once per worker.

boto3 is not used in functions: it adds a third to a cold start and nothing that they need.
"""

import threading
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

_ONE_AT_A_TIME = threading.Lock()
"""Clients may be shared by threads, but not be created by several at once."""


@cache
def client(service: str, *, single_attempt: bool = False, patience_seconds: float = 0.3) -> Any:
    """Return the client of an AWS service; `single_attempt` also bounds a call's patience.

    A single attempt is for calls that count when they are repeated: the gate's `ADD`, a mail.
    """
    connect_seconds, read_seconds = 2.0, 10.0
    if single_attempt:
        connect_seconds, read_seconds = min(connect_seconds, patience_seconds), patience_seconds
    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"total_max_attempts": 1 if single_attempt else 4, "mode": "standard"},
        parameter_validation=False,
    )
    with _ONE_AT_A_TIME:
        return _session().create_client(service, config=config)


@cache
def _session() -> botocore.session.Session:
    """Return the worker's session: it remembers service models, so a second client costs little."""
    return botocore.session.get_session()
