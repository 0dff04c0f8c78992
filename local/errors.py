"""The one kind of failure that the local commands show as a line instead of a traceback."""

import sys
from collections.abc import Callable
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError


class LocalError(Exception):
    """Something that the developer can put right; the message says how."""


def fail(message: str) -> NoReturn:
    """Print one line on standard error and leave with status 1."""
    print(f"mailroom: {message}", file=sys.stderr)
    raise SystemExit(1)


def run_command(command: Callable[[], None]) -> None:
    """Run a command of this package, turning its failures and Ctrl-C into one line."""
    try:
        command()
    except (LocalError, BotoCoreError, ClientError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped")
