"""From a checkout to a running, seeded system: `python -m local.up` (what `make up` runs).

Each step is skipped where its result is already there, so running it again is cheap.
`local.seed` and `local.tour` are called where they exist: see local/README.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from local import assembly, settings, synth
from local import seed as seeding
from local.deploy import Deployer
from local.emulator import Emulator
from local.errors import LocalError, run_command
from local.system import System, write_places

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
Note = Callable[[str], None]


@contextmanager
def step(title: str) -> Iterator[Note]:
    """Print a step's title, then its result and its seconds on the same line."""
    print(f"  {title:<10} ", end="", flush=True)
    began = time.monotonic()
    notes: list[str] = []
    try:
        yield notes.append
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - began:5.1f} s  {', '.join(notes) or 'done'}", flush=True)


def beside_title(line: str) -> None:
    """Print a line of a step that goes on."""
    print(f"{line}\n{'':13}", end="", flush=True)


def check_tools() -> None:
    """Refuse a machine that lacks something, saying what."""
    if sys.version_info < OLDEST_PYTHON:
        raise LocalError(f"Python {sys.version.split()[0]} is too old: install 3.11 or newer")
    node = shutil.which("node")
    if node is None:
        raise LocalError("node is missing (the CDK needs it): install Node.js 20 or newer")
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    if int(answer.stdout.strip().lstrip("v").split(".")[0]) < OLDEST_NODE:
        raise LocalError(f"node {answer.stdout.strip()} is too old: install Node.js 20 or newer")


def bring_up(emulator: Emulator) -> System:
    """Start, synthesise and deploy."""
    with step("tools"):
        check_tools()
    with step("emulator") as note:
        note(f"{'started' if emulator.start() else 'already running'} on {emulator.url}")
    with step("synth") as note:
        note("cdk.out written" if synth.synthesise() else "nothing changed")
    system = System.at(emulator.url)
    with step("deploy") as note:
        stacks = assembly.load(settings.CLOUD_ASSEMBLY)
        done = Deployer(system.clients, report=beside_title).deploy(stacks)
        functions = sum(len(stack.resources("AWS::Lambda::Function")) for stack in stacks)
        note(f"{len(done)} of {len(stacks)} stacks changed, {functions} functions")
    return system


def seed(system: System, home: settings.Home) -> dict[str, str]:
    """Seed the system, write down where everything is, and return what seeding tells."""
    with step("seed") as note:
        told = seeding.seed(system)
        note(f"{len(told)} new facts" if told else "nothing new")
        write_places(system, home, told)
    return told


def tour(home: settings.Home) -> None:
    """Tell the tour, which fails loudly; it needs a seeded system."""
    if not home.places.exists():
        return
    environment = {**os.environ, "MAILROOM_PLACES": str(home.places)}
    finished = subprocess.run([sys.executable, "-m", "local.tour"], env=environment, check=False)
    if finished.returncode:
        raise LocalError("the tour failed; the system runs on: `make tour` tells it again")


def summary(system: System, told: Mapping[str, str]) -> str:
    """List what a developer opens next."""
    lines = {
        "API": f"{system.api_url}/v1",
        "Docs": f"{system.api_url}/docs",
        "OpenAPI": f"{system.api_url}/openapi.json",
        "Sandbox": system.sandbox_url or "",
        "Mail sent": system.mailbox_url,
        "AWS": f"{system.endpoint}   (AWS_ENDPOINT_URL; credentials test/test)",
        **{name.replace("_", " ").capitalize(): value for name, value in told.items()},
    }
    width = max(map(len, lines))
    return "\n".join(f"  {label:<{width}}  {value}" for label, value in lines.items() if value)


def main() -> None:
    """Bring everything up and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m local.up", description=__doc__)
    parser.add_argument("--no-tour", action="store_true", help="leave the tour out")
    arguments = parser.parse_args()
    began = time.monotonic()
    print("Mailroom")
    emulator = Emulator()
    system = bring_up(emulator)
    told = seed(system, emulator.home)
    if not arguments.no_tour:
        tour(emulator.home)
    print(f"\nReady in {time.monotonic() - began:.1f} s; `make down` ends it.\n")
    print(summary(system, told))


if __name__ == "__main__":
    run_command(main)
