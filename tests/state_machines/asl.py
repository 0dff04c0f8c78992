"""Runs a flow's definition with the emulator's own interpreter, in this process and without waits.

Steps are functions that a test gives; what a `waitForTaskToken` task waits for is decided by the
step `wait_until`, which returns the outcome of the wait.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ministack.services import stepfunctions as engine

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "state_machines").glob("*/*.asl.json"))

Step = Callable[[dict[str, Any]], Any]


@dataclass
class Run:
    """What an execution did: the states in order, what each task was given, where it ended."""

    states: list[str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    error: str | None = None
    cause: str | None = None

    @property
    def end(self) -> str:
        """Return the state in which it ended."""
        return self.states[-1]

    def inputs(self, step: str) -> list[dict[str, Any]]:
        """Return what a step was given, each time."""
        return [payload for name, payload in self.calls if name == step]


def definition(context: str, name: str) -> dict[str, Any]:
    """Return a flow's definition."""
    text = (ROOT / "state_machines" / context / f"{name}.asl.json").read_text()
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def run(
    flow: dict[str, Any],
    payload: dict[str, Any],
    steps: Mapping[str, Step],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a flow to its end."""
    done = Run()

    def invoke(name: str, given: dict[str, Any]) -> Any:
        done.calls.append((name, given))
        try:
            return json.loads(json.dumps(steps[name](given)))
        except Exception as error:
            raise engine._ExecutionError(type(error).__name__, str(error)) from error

    def task(resource: str, given: dict[str, Any], _timeout: float) -> Any:
        return invoke(_name(resource), given)

    def callback(_resource: str, given: dict[str, Any], _token: str, _state: Any) -> Any:
        return invoke(_name(given["FunctionName"]), given["Payload"])

    class Trace(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if key == "State":
                done.states.append(value["Name"])
            super().__setitem__(key, value)

    context = Trace(
        QueryLanguage=flow["QueryLanguage"],
        Execution={"Id": "arn:aws:states:execution:1", "Input": payload, "Name": "1"},
        StateMachine={"Id": "arn:aws:states:1", "Name": "flow"},
        variables={},
    )
    execution = {"executionArn": "arn:aws:states:execution:1", "events": [], "status": "RUNNING"}
    with monkeypatch.context() as patched:
        patched.setattr(engine, "_invoke_resource_with_timeout", task)
        patched.setattr(engine, "_invoke_with_callback", callback)
        patched.setattr(engine, "_scaled_sleep", done.delays.append)
        try:
            engine._run_sub_machine(flow["States"], flow["StartAt"], payload, execution, context)
        except engine._ExecutionError as error:
            done.error, done.cause = error.error, error.cause
    return done


def _name(resource: str) -> str:
    """Return `charge_invoice` of `${charge_invoice}`, `wait_until` of `${kernel.wait_until}`."""
    return resource.removeprefix("${").removesuffix("}").rpartition(".")[2]
