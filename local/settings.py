"""Where the local system keeps its things, and the figures that the environment may change."""

import os
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
DEFAULT_PORT = 4566
CLOUD_ASSEMBLY = REPOSITORY / "cdk.out"


def stage() -> str:
    """Name the stage whose resources are deployed."""
    return os.environ.get("MAILROOM_STAGE", "local")


def port() -> int:
    """Read the emulator's port from MAILROOM_PORT."""
    return int(os.environ.get("MAILROOM_PORT", DEFAULT_PORT))


def enforces_iam() -> bool:
    """Tell whether functions are held to their roles (MAILROOM_IAM=off lets everything through)."""
    return os.environ.get("MAILROOM_IAM", "on") != "off"


def keeps_state() -> bool:
    """Tell whether data outlives the emulator (MAILROOM_PERSIST=1)."""
    return os.environ.get("MAILROOM_PERSIST") == "1"


@dataclass(frozen=True)
class Home:
    """The private folder of one emulator: its lock, log, state and temporary files."""

    path: Path = field(
        default_factory=lambda: Path(os.environ.get("MAILROOM_HOME", REPOSITORY / ".mailroom"))
    )

    @property
    def lock(self) -> Path:
        """Held by the running emulator, so that a stale pid is never mistaken for it."""
        return self.path / "emulator.lock"

    @property
    def record(self) -> Path:
        """What the running emulator says of itself."""
        return self.path / "emulator.json"

    @property
    def log(self) -> Path:
        """The emulator's output, the functions' start-up failures among it."""
        return self.path / "emulator.log"

    @property
    def places(self) -> Path:
        """Where the parts of the seeded system are, and how to sign in: what the tour reads."""
        return self.path / "places.json"

    @property
    def temporary(self) -> Path:
        """The emulator's TMPDIR; it holds one folder a worker and goes when the emulator goes."""
        return self.path / "tmp"

    @property
    def data(self) -> Path:
        """What MAILROOM_PERSIST=1 keeps."""
        return self.path / "data"
