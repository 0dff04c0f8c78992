"""`KernelGrants`: what the kernel's operations take, so that stacks name the operation."""

from typing import Self

from infra.cdk import tree
from infra.cdk.constructs.grantee import Grantee
from infra.cdk.constructs.resources import (
    JOURNAL,
    TIMERS,
    Queue,
    StateMachine,
    TaskTokens,
)


class KernelGrants(Grantee):
    """A grantee whose code calls the kernel."""

    def writes_facts(self) -> Self:
        """Grant what every `Transaction` writes besides its records: outbox, audit, test clock."""
        return self.allow(JOURNAL, "PutItem").allow(TIMERS, "UpdateItem")

    def answers_repeats(self) -> Self:
        """Grant what an Idempotency-Key takes: its record, read before and written within."""
        return self.allow(JOURNAL, "GetItem", "PutItem")

    def reads_clock(self) -> Self:
        """Grant `clock.tenant`: a test tenant's time stands in the table of timers."""
        return self.allow(TIMERS, "GetItem")

    def starts_flows(self, *names: str) -> Self:
        """Grant `flows.start` of the flows `<context>/<file>`."""
        self.allow(TIMERS, "GetItem", "PutItem", "UpdateItem")
        for name in names:
            self.allow(StateMachine(name), "StartExecution")
        return self

    def arms_timers(self) -> Self:
        """Grant `timers.arm`; it finishes an earlier timer of the name that a crash left firing."""
        return self.fires_timers()

    def cancels_timers(self) -> Self:
        """Grant `timers.cancel`."""
        return self.allow(TIMERS, "DeleteItem", "GetItem", "UpdateItem")

    def signals(self) -> Self:
        """Grant `timers.signal`, which wakes the executions that wait."""
        self.allow(TIMERS, "DeleteItem", "Query", "UpdateItem")
        return self.allow(TaskTokens(), "SendTaskSuccess")

    def fires_timers(self) -> Self:
        """Grant what firing a timer takes: to wake an execution, or to start any flow."""
        return (
            self.allow(TIMERS, "DeleteItem", "GetItem", "PutItem", "UpdateItem")
            .allow(TaskTokens(), "SendTaskSuccess")
            .starts_flows(*tree.flows())
        )

    def sends_to(self, queue: str) -> Self:
        """Grant `queues.send` to a consumer's queue."""
        return self.allow(Queue(queue), "SendMessage")
