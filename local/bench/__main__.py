"""`python -m local.bench`: measure, print the table, write bench.json."""

import sys
import tempfile
import zipfile
from pathlib import Path

from local.bench import calls, cold, figures, warm
from local.bench.offline import Offline

LAYERS = ("dependencies-core", "dependencies-security", "kernel", "identity")
OUTPUT = Path("bench.json")


def main() -> int:
    """Return 0 when every figure meets its target."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = [_unpack(name, Path(folder)) for name in LAYERS]
        print("Measuring cold imports …", flush=True)
        measured = cold.measure(unpacked)
    print("Measuring warm calls …", flush=True)
    with Offline() as offline:
        measured += warm.measure(offline)
        measured += calls.measure(offline)
    figures.print_table(measured)
    figures.write(measured, OUTPUT)
    print(f"\nWritten to {OUTPUT}.")
    missed = [figure.name for figure in measured if figure.verdict == "✗"]
    return 1 if missed else 0


def _unpack(name: str, folder: Path) -> Path:
    """Unpack a layer as the emulator does, and return what goes on sys.path."""
    from infra.cdk import layers

    target = folder / name
    with zipfile.ZipFile(layers.build(name, "local")) as archive:
        archive.extractall(target)
    return target / "python"


if __name__ == "__main__":
    sys.exit(main())
