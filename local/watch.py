"""A process that ends by itself when it is not needed any more, however its users ended."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

WATCHED = "MAILROOM_ENDS_WITH"
WATCH_SECONDS = 0.5


def unused(users: Path) -> bool:
    """Tell whether nobody holds a lock on the file any more."""
    try:
        with users.open("a") as probe:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def end_when(unneeded: Callable[[], bool]) -> None:
    """End this process, politely, once it is unneeded."""

    def watch() -> None:
        while not unneeded():
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="end-when-unneeded").start()
