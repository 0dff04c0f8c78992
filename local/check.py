"""Every check that needs no running system, a line each: `python -m local.check [name ...]`."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local import assembly, settings, synth
from local.errors import LocalError, run_command

SOURCES = ("app.py", "functions", "infra", "layers", "local", "sandbox")
AT_ONCE = 2


@dataclass(frozen=True)
class Check:
    """A tool, the commands that run it, and what its verdict is called."""

    name: str
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Verdict:
    """How a check ended."""

    check: Check
    output: str
    passed: bool
    seconds: float


def checks(templates: tuple[str, ...]) -> list[Check]:
    """List the checks, the slowest first."""
    sources = tuple(name for name in SOURCES if (settings.REPOSITORY / name).exists())
    folders = tuple(name for name in sources if not name.endswith(".py"))
    runtime = tuple(name for name in ("functions", "layers") if name in folders)
    tools = "^(functions|layers|tests|.venv|.build|.mailroom|cdk.out|node_modules)/"
    found = [
        Check("mypy", ((*_module("mypy"), *sources, "tests"),)),
        Check("ruff check", ((*_module("ruff"), "check", "--quiet", "."),)),
        Check("ruff format", ((*_module("ruff"), "format", "--check", "--quiet", "."),)),
        Check(
            "import-linter",
            (("lint-imports", "--no-logo", "--cache-dir", ".mypy_cache/import_linter"),),
        ),
        Check(
            "deptry",
            (
                ("deptry", *runtime, "--no-ansi"),
                ("deptry", ".", "--no-ansi", "-e", tools, "-i", "DEP002,DEP004"),
            ),
        ),
        Check(
            "bandit",
            ((*_module("bandit"), "-q", "-ll", "-ii", "-c", "pyproject.toml", "-r", *sources),),
        ),
    ]
    if templates:
        found.insert(1, Check("cfn-lint", (("cfn-lint", "-i", "W3005", "-t", *templates),)))
    if flows := sorted(settings.REPOSITORY.glob("state_machines/*/*.asl.json")):
        paths = tuple(part for flow in flows for part in ("--json-path", str(flow)))
        found.append(Check("asl-validator", (("asl-validator", *paths),)))
    return found


def run(check: Check) -> Verdict:
    """Run one check to its end."""
    began = time.monotonic()
    output = []
    passed = True
    for command in check.commands:
        try:
            finished = subprocess.run(
                command,
                cwd=settings.REPOSITORY,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise LocalError(f"{command[0]} is not installed: run `make check`") from None
        output.append(finished.stdout)
        passed = passed and finished.returncode == 0
    return Verdict(check, "".join(output).strip(), passed, time.monotonic() - began)


def run_all(chosen: Iterable[Check]) -> list[Verdict]:
    """Run checks two at a time, print each verdict, and return those that failed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [verdict for verdict in map(show, pool.map(run, chosen)) if not verdict.passed]


def show(verdict: Verdict) -> Verdict:
    """Print a verdict on one line."""
    word = "ok" if verdict.passed else "FAILED"
    print(f"  {verdict.check.name:<14} {word:<6} {verdict.seconds:5.1f} s", flush=True)
    return verdict


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


def _synthesise() -> Verdict:
    began = time.monotonic()
    try:
        synth.synthesise()
    except LocalError as error:
        return Verdict(Check("synth", ()), str(error), False, time.monotonic() - began)
    return Verdict(Check("synth", ()), "", True, time.monotonic() - began)


def _templates() -> tuple[str, ...]:
    return tuple(str(stack.template_path) for stack in assembly.load(settings.CLOUD_ASSEMBLY))


def _environment() -> dict[str, str]:
    roots = [settings.REPOSITORY, *sorted(settings.REPOSITORY.glob("layers/*/python"))]
    programs = [Path(sys.executable).parent, settings.REPOSITORY / "node_modules" / ".bin"]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
        "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")]),
    }


def main() -> None:
    """Run the named checks, or all."""
    parser = argparse.ArgumentParser(prog="python -m local.check", description=__doc__)
    parser.add_argument("name", nargs="*")
    names = parser.parse_args().name
    synthesised = show(_synthesise())
    known = checks(_templates() if synthesised.passed else ())
    if unknown := set(names) - {check.name for check in known}:
        raise LocalError(f"no such check: {', '.join(sorted(unknown))}")
    failed = run_all(check for check in known if not names or check.name in names)
    for verdict in [*failed, *(() if synthesised.passed else (synthesised,))]:
        print(f"\n── {verdict.check.name}\n{verdict.output}")
    if failed or not synthesised.passed:
        raise LocalError("a check failed: see above")


if __name__ == "__main__":
    run_command(main)
