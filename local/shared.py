"""One emulator for all processes of a test run, gone when the last of them has gone.

Every process holds a shared lock while it uses the emulator. The emulator watches that lock and
ends itself as soon as nobody holds it, so neither Ctrl-C nor a killed run leaves anything behind.
"""

import contextlib
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

from local import assembly, settings, synth
from local.deploy import Deployer, silently
from local.emulator import Emulator
from local.seed import seed
from local.system import System, write_places
from local.watch import unused


@contextlib.contextmanager
def running_system(folder: Path) -> Iterator[System]:
    """Give a deployed, seeded system, shared by all who name the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    users = folder / "users.lock"
    with users.open("a") as mine:
        with _turn(folder):
            fcntl.flock(mine, fcntl.LOCK_SH)
            system = _join(folder, users)
        try:
            yield system
        finally:
            with _turn(folder):
                fcntl.flock(mine, fcntl.LOCK_UN)
                if unused(users):
                    Emulator(home=settings.Home(folder)).stop()


def _join(folder: Path, users: Path) -> System:
    home = settings.Home(folder)
    if record := Emulator(home=home).running():
        return System.at(Emulator(record["port"], home).url)
    emulator = Emulator(free_port(), home)
    emulator.start(ends_with=users)
    synth.synthesise()
    system = System.at(emulator.url)
    Deployer(system.clients, report=silently).deploy(assembly.load(settings.CLOUD_ASSEMBLY))
    write_places(system, home, seed(system))
    return system


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let one process at a time start or end the emulator."""
    with (folder / "turn.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
