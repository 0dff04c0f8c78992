"""Start, stop and look at the local AWS: `python -m local.emulator [run|start|stop|status]`.

`run` (the default) stays in the foreground until Ctrl-C; `start` returns once it answers.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import mends, settings
from local.errors import LocalError, run_command
from local.watch import WATCHED, end_when, unused

START_SECONDS = 30.0
STOP_SECONDS = 10.0
WARM_SECONDS = "60"
# The only variables of the developer's shell that reach the emulator; functions see the first row.
PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"),
    *("MAILROOM_IAM", "MAILROOM_PERSIST", "MAILROOM_WARM_SECONDS", "MAILROOM_LOG_LEVEL"),
)


@dataclass(frozen=True)
class Emulator:
    """One local AWS: a port and a private folder."""

    port: int = field(default_factory=settings.port)
    home: settings.Home = field(default_factory=settings.Home)

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        return f"http://localhost:{self.port}"

    def running(self) -> dict[str, Any] | None:
        """Read what the running emulator of this folder says of itself; None where none runs."""
        try:
            with self.home.lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError, ValueError):
                record: dict[str, Any] = json.loads(self.home.record.read_text())
                return record
            return {"pid": None, "port": self.port}

    def start(self, *, ends_with: Path | None = None) -> bool:
        """Start in the background and wait until it answers; False where it already ran.

        It ends itself when nobody holds a lock on the file `ends_with` any more.
        """
        mends.require_version()
        if record := self.running():
            if record["port"] != self.port:
                raise LocalError(
                    f"the emulator of {self.home.path} already runs on port {record['port']}: "
                    "run `make down` first"
                )
            self.wait(START_SECONDS)
            return False
        self.require_free_port()
        self.home.path.mkdir(parents=True, exist_ok=True)
        self.forget_places()
        with self.home.log.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator", "run"],
                cwd=settings.REPOSITORY,
                env={**self.environment(), **({WATCHED: str(ends_with)} if ends_with else {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait(START_SECONDS, process)
        except BaseException:
            self.stop()
            raise
        return True

    def environment(self) -> dict[str, str]:
        """Name every variable that the emulator and its functions see."""
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "MAILROOM_HOME": str(self.home.path),
            "MAILROOM_PORT": str(self.port),
            "TMPDIR": str(self.home.temporary),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "LOG_LEVEL": os.environ.get("MAILROOM_LOG_LEVEL", "WARNING"),
            "AUTH": "true" if settings.enforces_iam() else "false",
            "MINISTACK_REGION": settings.REGION,
            "MINISTACK_ACCOUNT_ID": settings.ACCOUNT_ID,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": settings.REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",  # it would listen on port 8883 of every interface
            "SFTP_ENABLED": "0",
            "LAMBDA_WARM_TTL_SECONDS": os.environ.get("MAILROOM_WARM_SECONDS", WARM_SECONDS),
            **(
                {
                    "PERSIST_STATE": "1",
                    "S3_PERSIST": "1",
                    "STATE_DIR": str(self.home.data / "state"),
                    "S3_DATA_DIR": str(self.home.data / "s3"),
                }
                if settings.keeps_state()
                else {}
            ),
        }

    def require_free_port(self) -> None:
        """Refuse a port on which something already listens."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                raise LocalError(
                    f"port {self.port} is in use: stop what listens there, "
                    f"or choose another with MAILROOM_PORT={self.port + 1} make up"
                )

    def wait(self, seconds: float, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Wait until the emulator answers."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if process is not None and process.poll() is not None:
                raise LocalError(f"the emulator ended at once: {self.last_words()}")
            if time.monotonic() > deadline:
                raise LocalError(
                    f"the emulator did not answer within {seconds:.0f} s: see {self.home.log}"
                )
            time.sleep(0.05)

    def answers(self) -> bool:
        """Tell whether the health route answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def last_words(self) -> str:
        """Read the last line of the log."""
        lines = self.home.log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'no output'} ({self.home.log})"

    def stop(self) -> bool:
        """End emulator and workers and delete their folders; False where none ran."""
        record = self.running()
        if record and record["pid"]:
            end_session(record["pid"])
        shutil.rmtree(self.home.temporary, ignore_errors=True)
        self.home.record.unlink(missing_ok=True)
        self.forget_places()
        return record is not None

    def forget_places(self) -> None:
        """Delete what was known of a system whose data is gone."""
        if not settings.keeps_state():
            self.home.places.unlink(missing_ok=True)

    def serve(self) -> None:
        """Be the emulator until SIGTERM or Ctrl-C."""
        mends.require_version()
        users = os.environ.get(WATCHED)
        environment = self.environment()
        os.environ.clear()
        os.environ.update({k: v for k, v in environment.items() if not k.startswith("MAILROOM_")})

        def unneeded() -> bool:
            gone_users = users is not None and unused(Path(users))
            return gone_users or not self.home.record.exists()

        with self.held(), self.temporary():
            end_when(unneeded)
            sys.argv[1:] = []
            mends.apply()
            from ministack import app

            app.main()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder's lock for as long as the emulator lives."""
        self.home.path.mkdir(parents=True, exist_ok=True)
        with self.home.lock.open("w") as lock:
            for last_try in (False, False, True):  # `running` holds it for an instant, too
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if last_try:
                        raise LocalError(
                            f"an emulator already runs in {self.home.path}: run `make down` first"
                        ) from None
                    time.sleep(0.2)
            self.require_free_port()
            self.home.record.write_text(json.dumps({"pid": os.getpid(), "port": self.port}))
            yield

    @contextlib.contextmanager
    def temporary(self) -> Iterator[None]:
        """Give the emulator a TMPDIR of its own, and delete it with all workers' folders."""
        shutil.rmtree(self.home.temporary, ignore_errors=True)
        self.home.temporary.mkdir(parents=True)
        tempfile.tempdir = None
        try:
            yield
        finally:
            if "ministack.core.lambda_runtime" in sys.modules:
                sys.modules["ministack.core.lambda_runtime"].reset()
            shutil.rmtree(self.home.temporary, ignore_errors=True)
            self.home.record.unlink(missing_ok=True)


def end_session(pid: int) -> None:
    """Ask the emulator to end; after a while end it and what is left of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if not gone(pid):  # it is no leader of a session: it was started in the foreground
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Tell whether a process ended, and bury it where it is a child of this one."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def main() -> None:
    """Run one of the four commands."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument(
        "command", nargs="?", default="run", choices=("run", "start", "stop", "status")
    )
    command = parser.parse_args().command
    emulator = Emulator()
    if command == "run":
        print(f"Emulator on {emulator.url}; Ctrl-C ends it.", flush=True)
        emulator.serve()
    elif command == "start":
        print(f"{'Started' if emulator.start() else 'Already running'}: {emulator.url}")
    elif command == "stop":
        print("Stopped." if emulator.stop() else "Nothing was running.")
    elif record := emulator.running():
        print(f"Running: {emulator.url} (pid {record['pid']}), log {emulator.home.log}")
    else:
        raise LocalError("not running: run `make up`")


if __name__ == "__main__":
    run_command(main)
