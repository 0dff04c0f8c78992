"""Names of work in a test clock's `busy` set: while one is there, the clock stands still."""

from typing import Final

from kernel.settings import resource_name

EVENT: Final = "event/"
FLOW: Final = "flow/"


def of_event(event_id: str, subscriber: str | None = None) -> str:
    """Return the work of an event at one subscriber, or of its way to the bus."""
    return f"{EVENT}{event_id}/{subscriber}" if subscriber else f"{EVENT}{event_id}"


def of_flow(state_machine: str, name: str) -> str:
    """Return the work of a flow's execution, e.g. `flow/billing-trial_conversion/sub_01jd…`."""
    return f"{FLOW}{state_machine}/{name}"


def of_execution(arn: str) -> str:
    """Return the work of the execution with this ARN, as Step Functions' context object has it."""
    state_machine, name = arn.split(":")[-2:]
    return of_flow(state_machine.removeprefix(resource_name("")), name)
