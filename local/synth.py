"""Synthesise the local stage into cdk.out, unless nothing that it is made of changed.

`python -m local.synth [--force]` runs app.py as the CDK's own tool would; `make deploy` uses it.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local import settings
from local.errors import LocalError, run_command

INPUTS = (
    "app.py",
    "cdk.json",
    "infra",
    "functions",
    "layers",
    "state_machines",
    "sandbox",
    "requirements.txt",
    "requirements-dev.txt",
)
LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}
STAMP = "inputs.sha256"
SYNTH_SECONDS = 600
QUIET_NODE = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20,22",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
}


def synthesise(output: Path = settings.CLOUD_ASSEMBLY, *, force: bool = False) -> bool:
    """Bring the cloud assembly up to date; False where it already was."""
    with _alone():
        if not force and _stamped(output) == inputs_digest():
            return False
        fresh = output.with_name(output.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        _run_app(fresh)
        (fresh / STAMP).write_text(
            inputs_digest()
        )  # only now: the app writes lists into functions/
        shutil.rmtree(output, ignore_errors=True)
        fresh.rename(output)
        return True


def inputs_digest(root: Path = settings.REPOSITORY) -> str:
    """Hash the content of everything that the templates and assets are made of."""
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    for path in _files(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for name in INPUTS:
        start = root / name
        if start.is_file():
            yield start
        for folder, folders, files in os.walk(start):
            folders[:] = sorted(set(folders) - LEFT_OUT)
            yield from (Path(folder, file) for file in sorted(files) if not file.endswith(".pyc"))


def _stamped(output: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return (output / STAMP).read_text()
    return None


def _run_app(output: Path) -> None:
    if not (settings.REPOSITORY / "app.py").exists():
        raise LocalError("app.py is missing: there is nothing to synthesise")
    log = settings.Home().path / "synth.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        **QUIET_NODE,
        "CDK_OUTDIR": str(output),
        "CDK_CONTEXT_JSON": json.dumps({"local": "true", "stage": "local"}),
        "CDK_DEFAULT_ACCOUNT": settings.ACCOUNT_ID,
        "CDK_DEFAULT_REGION": settings.REGION,
    }
    with log.open("w") as stream:
        try:
            finished = subprocess.run(
                [sys.executable, "app.py"],
                cwd=settings.REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=SYNTH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LocalError(f"app.py took more than {SYNTH_SECONDS} s: see {log}") from None
    if finished.returncode:
        raise LocalError(f"app.py failed: {failure_of(log.read_text(errors='replace'))} ({log})")


def failure_of(output: str) -> str:
    """Find what a Python program ended with: the last line at the margin and what belongs to it."""
    lines = output.strip().splitlines() or ["no output"]
    start = max((i for i, line in enumerate(lines) if line[:1].strip()), default=0)
    return " ".join(" ".join(lines[start:]).split())[:300]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time write cdk.out."""
    lock = settings.REPOSITORY / ".mailroom" / "synth.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Synthesise and say what happened."""
    parser = argparse.ArgumentParser(prog="python -m local.synth", description=__doc__)
    parser.add_argument("--force", action="store_true", help="also when nothing changed")
    began = time.monotonic()
    if synthesise(force=parser.parse_args().force):
        print(f"cdk.out written in {time.monotonic() - began:.1f} s")
    else:
        print("cdk.out is up to date")


if __name__ == "__main__":
    run_command(main)
