"""Stream of the journal: copy new facts to the archive, where nobody can change them."""

from collections.abc import Sequence

from kernel import archive
from kernel.tables import JournalRecord
from kernel.triggers import StreamRecord, stream


@stream("journal")
def handler(records: Sequence[StreamRecord]) -> None:
    archive.store([fact for record in records if (fact := record.inserted(JournalRecord))])
