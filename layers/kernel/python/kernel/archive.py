"""The journal's copy in S3, under Object Lock: nobody can change or delete it for its time."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable

from kernel import aws
from kernel.settings import KernelSettings, load, resource_name
from kernel.tables import JournalRecord


def store(records: Iterable[JournalRecord]) -> int:
    """Write facts as lines of JSON, `<tenant>/<yyyy>/<mm>/<dd>/<first id>.json.gz`; count them.

    Storing facts again adds objects and loses nothing; readers tell doubles by `id`.
    """
    groups: dict[str, list[JournalRecord]] = defaultdict(list)
    for record in records:
        groups[f"{record.tenant_id}/{record.occurred_at:%Y/%m/%d}"].append(record)
    for folder, facts in groups.items():
        lines = "".join(f"{json.dumps(_document(fact), sort_keys=True)}\n" for fact in facts)
        aws.client("s3").put_object(
            Bucket=_bucket(),
            Key=f"{folder}/{facts[0].sk}.json.gz",
            Body=gzip.compress(lines.encode(), mtime=0),
            ContentType="application/x-ndjson",
            ContentEncoding="gzip",
            ChecksumAlgorithm="SHA256",
        )
    return sum(map(len, groups.values()))


def _document(fact: JournalRecord) -> dict[str, object]:
    return {
        "id": fact.sk,
        "tenant_id": fact.tenant_id,
        "occurred_at": fact.occurred_at.isoformat(),
        "subject": fact.subject,
        "event": json.loads(fact.event) if fact.event else None,
        "event_type": fact.event_type,
        "audit": fact.audit,
    }


def _bucket() -> str:
    return f"{resource_name('audit')}-{load(KernelSettings).mailroom_account_id}"
