"""Which functions the source tree holds: `functions/<context>/<file>.py`, one Lambda each."""

import importlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def contexts() -> list[str]:
    """Return the contexts that have functions."""
    return sorted({path.parent.name for path in (ROOT / "functions").glob("*/[!_]*.py")})


def function_files(context: str) -> set[str]:
    """Return the function files of a context, without `.py`."""
    return {path.stem for path in (ROOT / "functions" / context).glob("[!_]*.py")}


def handler(context: str, file: str) -> Any:
    """Return the trigger object of a function: its `handler`, whose `kind` decides the wiring."""
    if file not in function_files(context):
        raise LookupError(f"functions/{context}/{file}.py is named in a stack, but does not exist")
    module = importlib.import_module(f"functions.{context}.{file}")
    trigger = getattr(module, "handler", None)
    if not hasattr(trigger, "kind"):
        raise TypeError(
            f"functions/{context}/{file}.py: `handler` is no trigger (endpoint, step, …)"
        )
    return trigger


def summary(context: str, file: str) -> str:
    """Return the first line of a function file's docstring."""
    module = importlib.import_module(f"functions.{context}.{file}")
    return (module.__doc__ or f"{context}/{file}").strip().partition("\n")[0][:256]


def flows() -> list[str]:
    """Return every flow, as `<context>/<file>`."""
    folders = sorted((ROOT / "state_machines").glob("*/"))
    return [
        f"{folder.name}/{file}"
        for folder in folders
        for file in sorted(state_machine_files(folder.name))
    ]


def state_machine_file(context: str, file: str) -> Path:
    """Return the path of a flow's definition."""
    return ROOT / "state_machines" / context / f"{file}.asl.json"


def state_machine_files(context: str) -> set[str]:
    """Return the flows of a context, without `.asl.json`."""
    suffix = ".asl.json"
    folder = ROOT / "state_machines" / context
    return {path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")}
