"""Starting flows, the executions of state machines.

A record that can exist once goes before the execution: its transaction counts the execution for
the test clock exactly once, and it outlasts the 90 days for which Step Functions remembers names.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError
from pydantic import BaseModel

from kernel import aws, clock, work
from kernel.errors import ConflictError
from kernel.principals import System
from kernel.settings import KernelSettings, load, resource_arn, resource_name
from kernel.tables import FlowRecord, find
from kernel.transactions import Transaction

ALIVE: Final = frozenset({"RUNNING", "PENDING_REDRIVE"})
SUCCEEDED: Final = "SUCCEEDED"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MEMORY_DAYS: Final = 400


class _BegunError(ConflictError):
    """The flow was begun before."""


def start(tenant_id: str, state_machine: str, name: str, payload: BaseModel) -> None:
    """Start a flow such as `billing-trial_conversion`; starting one of the same name is harmless.

    Two DynamoDB calls and one to Step Functions.
    """
    start_with(tenant_id, state_machine, name, payload.model_dump(mode="json"))


def start_with(tenant_id: str, state_machine: str, name: str, payload: Any) -> None:
    """Start a flow with an input that is JSON already."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"Step Functions takes no execution name {name!r}")
    keys = FlowRecord.keys(tenant_id, state_machine, name)
    expiry = clock.wall() + timedelta(days=_MEMORY_DAYS)
    record = FlowRecord(*keys, expires_at=expiry)
    actor = System(name=load(KernelSettings).mailroom_function)
    try:
        with Transaction(actor, tenant_id) as transaction:
            transaction.create(record, conflict=_BegunError())
            transaction.busy(work.of_flow(state_machine, name))
    except _BegunError:
        earlier = find(FlowRecord, *keys)
        if earlier is not None and earlier.state == FlowRecord.STARTED:
            return
    _start_execution(state_machine, name, payload)
    record.update(actions=[FlowRecord.state.set(FlowRecord.STARTED)])


def status(state_machine: str, name: str) -> str | None:
    """Return the status of an execution (`RUNNING`, `SUCCEEDED`, …), or None without one."""
    arn = resource_arn("states", f"execution:{resource_name(state_machine)}:{name}")
    try:
        response = aws.client("stepfunctions").describe_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return None
    return str(response["status"])


def name_of_wake(subject: str, name: str, due_at: datetime) -> str:
    """Return the name of the execution that a timer starts; each of its due times has its own."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", f"{subject}-{name}-{due_at:%Y%m%dT%H%M%S}")
    if _NAME.fullmatch(readable) and f"{subject}-{name}" in readable:
        return readable
    digest = hashlib.sha256(f"{subject}\x1f{name}\x1f{due_at.isoformat()}".encode()).hexdigest()
    return f"{readable[:55]}-{digest[:24]}"


def _start_execution(state_machine: str, name: str, payload: Any) -> None:
    """Start the execution, unless one of this name exists (also if its input was another)."""
    arn = resource_arn("states", f"stateMachine:{resource_name(state_machine)}")
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=arn, name=name, input=json.dumps(payload)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
