"""Stream of the journal: publish new events to the bus."""

import json
from collections.abc import Sequence
from pathlib import Path

from kernel import outbox
from kernel.tables import JournalRecord
from kernel.triggers import StreamRecord, stream

SUBSCRIBERS = json.loads(Path(__file__).with_name("subscribers.json").read_text())


@stream("journal")
def handler(records: Sequence[StreamRecord]) -> None:
    facts = [fact for record in records if (fact := record.inserted(JournalRecord))]
    outbox.publish(facts, SUBSCRIBERS)
