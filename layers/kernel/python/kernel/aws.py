"""botocore clients, created on first use and once per worker.

boto3 is not used in functions: it adds a third to a cold start and nothing that they need.
"""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config


@cache
def client(service: str, *, single_attempt: bool = False) -> Any:
    """Return the client of an AWS service; `single_attempt` also bounds a call to 300 ms.

    A single attempt is for calls that count when they are repeated (the gate's `ADD`).
    """
    connect_seconds, read_seconds = (0.3, 0.3) if single_attempt else (2.0, 10.0)
    return _session().create_client(
        service,
        config=Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"total_max_attempts": 1 if single_attempt else 4, "mode": "standard"},
            parameter_validation=False,
        ),
    )


@cache
def _session() -> botocore.session.Session:
    """Return the worker's session: it remembers service models, so a second client costs little."""
    return botocore.session.get_session()
