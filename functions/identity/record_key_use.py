"""On changes of the gate: keep when each API key was last used."""

from collections.abc import Sequence

from identity import key_use
from kernel.triggers import StreamRecord, stream


@stream("gate")
def handler(records: Sequence[StreamRecord]) -> None:
    """Write the keys' last use, at most once a minute."""
    key_use.record(records)
