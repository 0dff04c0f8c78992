"""Which stacks a stage has and what each waits for."""

import importlib
from collections.abc import Sequence

from aws_cdk import App

from infra.cdk import tree
from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.data import DataStack
from infra.cdk.stage import Stage

CONTEXTS = ("kernel", "identity", "billing", "notifications")


class IncompleteError(Exception):
    """The source tree and the stacks do not hold the same functions or flows."""


def compose(app: App, stage: Stage) -> None:
    """Add the stacks of a stage to the app; raises IncompleteError when a function has none."""
    stacks = _add_contexts(app, stage)
    check_complete(stacks)
    for empty in [stack for stack in stacks if not stack.node.children]:
        app.node.try_remove_child(empty.node.id)
        stacks.remove(empty)
    if stage.sandbox:
        from infra.cdk.stacks.sandbox import Sandbox

        sandbox = Sandbox(app, stage)
        for stack in stacks:
            if stack.context == "billing" and not isinstance(stack, DataStack):
                stack.add_stack_dependency(sandbox)
    if not stage.local:
        _add_operations(app, stage, stacks)


def check_complete(stacks: Sequence[ContextStack]) -> None:
    """Raise IncompleteError naming each function and flow of the tree that no stack has."""
    missing: list[str] = []
    for context in tree.contexts():
        own = [stack for stack in stacks if stack.context == context]
        functions = {name for stack in own for name in stack.functions}
        flows = {name for stack in own for name in stack.state_machines}
        module = f"infra/cdk/stacks/{context}.py"
        missing += [
            f'{module}: add self.function("{name}") and its grants'
            for name in sorted(tree.function_files(context) - functions)
        ] + [
            f'{module}: add self.state_machine("{name}")'
            for name in sorted(tree.state_machine_files(context) - flows)
        ]
    if missing:
        raise IncompleteError("Not in any stack:\n  " + "\n  ".join(missing))


def _add_contexts(app: App, stage: Stage) -> list[ContextStack]:
    """Add each context's stacks; `kernel-data` and `kernel-api` go before all others' code."""
    stacks: dict[str, ContextStack] = {}
    for context in CONTEXTS:
        module = importlib.import_module(f"infra.cdk.stacks.{context}")
        for part in ("data", "api", "flows"):
            stack = getattr(module, f"{context.capitalize()}{part.capitalize()}")(app, stage)
            for earlier in ("kernel-data", "kernel-api", f"{context}-data"):
                if earlier in stacks and part != "data":
                    stack.add_stack_dependency(stacks[earlier])
            stacks[f"{context}-{part}"] = stack
    return list(stacks.values())


def _add_operations(app: App, stage: Stage, stacks: Sequence[ContextStack]) -> None:
    """Add what the emulator refuses and only an operated stage needs."""
    from infra.cdk.stacks.backup import Backup, BackupCopy
    from infra.cdk.stacks.edge import Edge
    from infra.cdk.stacks.monitoring import Monitoring

    kernel_data, kernel_api = (
        next(stack for stack in stacks if stack.node.id == name)
        for name in ("kernel-data", "kernel-api")
    )
    alarms = Monitoring(app, stage, stacks)
    for earlier in (kernel_data, kernel_api):
        alarms.add_stack_dependency(earlier)
    if stage.edge:
        Edge(app, stage).add_stack_dependency(kernel_api)
    if stage.backup_region:
        data = [stack for stack in stacks if isinstance(stack, DataStack)]
        plan = Backup(app, stage, [table for stack in data for table in stack.tables])
        for stack in (BackupCopy(app, stage), *data):
            plan.add_stack_dependency(stack)
