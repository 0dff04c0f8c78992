"""Step of every flow: wait until a time of the tenant's clock, or until a signal to the subject.

The flow goes on with `{"outcome": "due"}`, or with the signal's outcome.
"""

from contracts.kernel import WaitUntil
from kernel import timers
from kernel.triggers import step


@step
def handler(wait: WaitUntil) -> None:
    timers.arm(
        wait.tenant_id,
        wait.subject,
        wait.name,
        wait.due_at,
        task_token=wait.task_token,
        execution=wait.execution,
    )
