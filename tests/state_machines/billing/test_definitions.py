"""What every flow must have, of whatever context; the emulator accepts definitions without it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonata  # type: ignore[import-untyped]
import pytest

from tests.state_machines.asl import FILES, ROOT

SENTENCE = re.compile(r"[A-Z][a-z' ,]*( [A-Za-z0-9',-]+)+\??")
STEP = re.compile(r"\$\{(?:([a-z0-9_]+)\.)?([a-z0-9_]+)\}")
LONGEST_NAME = 80
TERMINAL = {"Succeed", "Fail"}

flows = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.partition(".")[0])


def definition(file: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(file.read_text())
    return parsed


def states(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = definition(file)["States"]
    return found


def tasks(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((name, state) for name, state in states(file).items() if state["Type"] == "Task")


def following(state: dict[str, Any]) -> set[str]:
    choices = [choice["Next"] for choice in state.get("Choices", [])]
    catches = [catch["Next"] for catch in state.get("Catch", [])]
    return {name for name in (state.get("Next"), state.get("Default")) if name}.union(
        choices, catches
    )


def test_there_are_flows() -> None:
    assert FILES


@flows
def test_it_is_jsonata_with_a_comment(file: Path) -> None:
    assert definition(file)["QueryLanguage"] == "JSONata"
    assert definition(file)["Comment"]


@flows
def test_names_of_states_are_sentences(file: Path) -> None:
    for name in states(file):
        assert SENTENCE.fullmatch(name), name
        assert len(name) <= LONGEST_NAME
        assert "  " not in name


@flows
def test_it_waits_by_the_timer_step_only(file: Path) -> None:
    assert all(state["Type"] != "Wait" for state in states(file).values())
    for name, state in tasks(file):
        if state["Resource"].endswith(".waitForTaskToken"):
            assert state["Arguments"]["FunctionName"] == "${kernel.wait_until}", name
            assert set(state["Arguments"]["Payload"]) == {
                "task_token",
                "execution",
                "tenant_id",
                "subject",
                "name",
                "due_at",
            }


@flows
def test_each_task_has_a_timeout(file: Path) -> None:
    for name, state in tasks(file):
        assert 0 < state["TimeoutSeconds"] <= 366 * 86_400, name


@flows
def test_each_task_is_retried_with_jitter_and_bounds(file: Path) -> None:
    for name, state in tasks(file):
        retried = [retry for retry in state["Retry"] if retry.get("MaxAttempts") != 0]
        assert retried, name
        assert {error for retry in retried for error in retry["ErrorEquals"]} >= {
            "States.TaskFailed"
        }
        for retry in retried:
            assert retry["JitterStrategy"] == "FULL", name
            assert 1 <= retry["MaxAttempts"] <= 10, name
            assert retry["BackoffRate"] > 1, name
            assert retry["MaxDelaySeconds"] >= retry["IntervalSeconds"], name


@flows
def test_each_task_s_failure_leads_somewhere_visible(file: Path) -> None:
    for name, state in tasks(file):
        last = state["Catch"][-1]
        assert last["ErrorEquals"] == ["States.ALL"], name
        assert states(file)[last["Next"]]["Type"] == "Fail", name


@flows
def test_each_choice_has_a_default(file: Path) -> None:
    for name, state in states(file).items():
        if state["Type"] == "Choice":
            assert state["Default"], name


@flows
def test_each_state_can_be_reached_and_leads_to_an_end(file: Path) -> None:
    all_states, seen = states(file), {definition(file)["StartAt"]}
    while new := {name for state in seen for name in following(all_states[state])} - seen:
        seen |= new
    assert seen == set(all_states)

    ends = {name for name, state in all_states.items() if state["Type"] in TERMINAL}
    while new := {name for name, state in all_states.items() if following(state) & ends} - ends:
        ends |= new
    assert ends == set(all_states)


@flows
def test_it_has_about_a_dozen_states(file: Path) -> None:
    assert len(states(file)) <= 16


@flows
def test_its_steps_exist(file: Path) -> None:
    found = STEP.findall(file.read_text())
    assert found
    for context, name in found:
        assert (ROOT / "functions" / (context or file.parent.name) / f"{name}.py").exists(), name


@flows
def test_its_expressions_can_be_parsed(file: Path) -> None:
    expressions = re.findall(r'"\{% (.*?) %\}"', file.read_text())
    for expression in expressions:
        jsonata.Jsonata.jsonata(json.loads(f'"{expression}"'))
    assert expressions
