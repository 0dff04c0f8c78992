"""State machines as Mermaid flowcharts, read from their definitions."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.cdk import tree

_SHAPES: Final = {"Choice": '{{"{}"}}', "Fail": '[["{}"]]', "Succeed": '(["{}"])'}
_WAIT: Final = '[/"{}"/]'
_TASK: Final = '["{}"]'
_NOISE: Final = re.compile(r"\{%\s*|\s*%\}|\$states\.input\.|'")


def draw(flow: str) -> str:
    """Return the picture of the flow `<context>/<file>`.

    Waits lean, choices are diamonds, ends are round, failures have double sides. Where a Catch
    leads is dotted; those that lead to a failure are left out, as every task has one.
    """
    context, _, file = flow.partition("/")
    definition = json.loads(tree.state_machine_file(context, file).read_text())
    states: dict[str, dict[str, Any]] = definition["States"]
    names = {state: f"s{number}" for number, state in enumerate(states, start=1)}
    ways = [(state, *way) for state, content in states.items() for way in _ways(content, states)]
    seen = {definition["StartAt"], *(target for _, _, target in ways)}
    lines = [
        f"{names[state]}{_shape(states[state]).format(state)}" for state in names if state in seen
    ]
    lines += [f"{names[state]} {arrow} {names[target]}" for state, arrow, target in ways]
    return "```mermaid\n" + "\n  ".join(["flowchart TD", *lines]) + "\n```\n"


def _shape(state: Mapping[str, Any]) -> str:
    if str(state.get("Resource", "")).endswith(".waitForTaskToken"):
        return _WAIT
    return _SHAPES.get(state["Type"], _TASK)


def _ways(
    state: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the arrows that leave a state, each with the state that it leads to."""
    for choice in state.get("Choices", []):
        yield f'-- "{_NOISE.sub("", choice["Condition"])}" -->', choice["Next"]
    if "Default" in state:
        yield '-- "else" -->', state["Default"]
    if "Next" in state:
        yield "-->", state["Next"]
    for catch in state.get("Catch", []):
        if states[catch["Next"]]["Type"] != "Fail":
            yield f'-. "{", ".join(catch["ErrorEquals"])}" .->', catch["Next"]
