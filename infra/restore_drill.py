"""Proof that the tables can be restored: `python -m infra.restore_drill --stage staging`.

Every table of the stage is restored by point-in-time recovery to the same second, beside itself as
`<table>-drill-<yyyymmdd>`, compared with its source, and deleted again. The report's durations are
the evidence for RPO and RTO; the exit code is 1 when anything could not be restored or differs.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from infra.table_snapshot import Comparison, Snapshot

SETTINGS: Final = Path(__file__).resolve().parents[1] / "cdk.json"
MARK: Final = "-drill-"
PATIENCE_SECONDS: Final = 7_200.0
POLL_SECONDS: Final = 5.0


class DrillError(Exception):
    """The drill cannot begin or go on."""


@dataclass
class Result:
    """How the restore of one table went."""

    table: str
    seconds: float | None = None
    comparison: Comparison | None = None
    failure: str | None = None

    @property
    def verdict(self) -> str:
        """Return `ok`, or all that is wrong."""
        problems = self.comparison.problems if self.comparison else ("not restored in time",)
        return self.failure or "; ".join(problems) or "ok"


@dataclass
class Report:
    """How the drill went."""

    moment: datetime
    restorable_seconds: float
    total_seconds: float
    results: Sequence[Result]
    left_over: Sequence[str] = field(default=())

    @property
    def passed(self) -> bool:
        """Tell whether every table was restored as it was, and nothing is left behind."""
        return not self.left_over and all(result.verdict == "ok" for result in self.results)

    def __str__(self) -> str:
        width = max(len(result.table) for result in self.results)
        lines = [
            f"Restored to {self.moment.isoformat()}",
            "",
            f"{'table':<{width}}  {'restored':>8}  {'items':>9}  {'compared':>8}  result",
            *(_line(result, width) for result in self.results),
            "",
            f"RPO: the second became restorable after {self.restorable_seconds:.0f} s",
            f"RTO: all tables were restored and compared after {self.total_seconds:.0f} s",
            *(f"Not deleted, and paid for: {name}" for name in self.left_over),
        ]
        return "\n".join(lines)


class Drill:
    """Restores the tables of one stage beside themselves."""

    def __init__(
        self,
        dynamodb: Any,
        stage: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = print,
    ) -> None:
        self._dynamodb, self._prefix = dynamodb, f"mailroom-{stage}-"
        self._patience_seconds, self._sleep, self._say = patience_seconds, sleep, say

    def tables(self) -> list[str]:
        """Return the stage's tables, without those of drills."""
        return [name for name in self._names() if MARK not in name]

    def left_over(self) -> list[str]:
        """Return the tables that drills of this stage have left."""
        return [name for name in self._names() if MARK in name]

    def plan(self) -> list[tuple[str, str]]:
        """Return each table with from when to when it can be restored, and how large it is."""
        return [(name, self._prospect(name)) for name in self.tables()]

    def clean_up(self) -> list[str]:
        """Delete what drills have left, and return what cannot be deleted (yet)."""
        return self._delete(self.left_over())

    def require_possible(self) -> None:
        """Raise DrillError naming what stands in the way of a drill."""
        if not (tables := self.tables()):
            raise DrillError(f"There is no table {self._prefix}…")
        if left_over := self.left_over():
            raise DrillError(f"Of an earlier drill are left: {', '.join(left_over)} (--clean-up)")
        if off := [name for name in tables if self._recovery(name) is None]:
            raise DrillError(f"Point-in-time recovery is off: {', '.join(off)}")

    def run(self) -> Report:
        """Restore, compare and delete; raises DrillError when that is not possible."""
        self.require_possible()
        snapshots = [Snapshot.begin(self._dynamodb, name) for name in self.tables()]
        moment = self._choose_moment()
        for snapshot in snapshots:
            snapshot.complete()
        waiting_since = time.monotonic()
        self._await_restorable(moment)
        targets = {item.table: f"{item.table}{MARK}{moment:%Y%m%d}" for item in snapshots}
        began = time.monotonic()
        try:
            results = self._restore(snapshots, targets, moment)
            total_seconds = time.monotonic() - began
        finally:
            left_over = self._delete(targets.values())
        return Report(moment, began - waiting_since, total_seconds, results, left_over)

    def _names(self) -> Iterator[str]:
        for page in self._dynamodb.get_paginator("list_tables").paginate():
            yield from (name for name in page["TableNames"] if name.startswith(self._prefix))

    def _prospect(self, name: str) -> str:
        recovery = self._recovery(name)
        if recovery is None:
            return "point-in-time recovery is off"
        table = self._dynamodb.describe_table(TableName=name)["Table"]
        first, last = recovery["EarliestRestorableDateTime"], recovery["LatestRestorableDateTime"]
        size = f"about {table['ItemCount']} items, {table['TableSizeBytes']} bytes"
        return f"restorable {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}, {size}"

    def _recovery(self, name: str) -> Mapping[str, Any] | None:
        """Return from when to when a table can be restored; None when it cannot."""
        answer = self._dynamodb.describe_continuous_backups(TableName=name)
        found: Mapping[str, Any] = answer["ContinuousBackupsDescription"].get(
            "PointInTimeRecoveryDescription", {}
        )
        return found if found.get("PointInTimeRecoveryStatus") == "ENABLED" else None

    def _choose_moment(self) -> datetime:
        """Return the next whole second, once it is over also for a clock that is a little late."""
        moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        self._sleep((moment - datetime.now(UTC)).total_seconds() + 1)
        return moment

    def _await_restorable(self, moment: datetime) -> None:
        self._say(f"Waiting until {moment.isoformat()} can be restored")
        for _ in self._while_patient():
            recoveries = [self._recovery(name) for name in self.tables()]
            if all(item and item["LatestRestorableDateTime"] >= moment for item in recoveries):
                return
        raise DrillError(f"Not every table can be restored to {moment.isoformat()}")

    def _restore(
        self, snapshots: Iterable[Snapshot], targets: Mapping[str, str], moment: datetime
    ) -> list[Result]:
        """Restore all tables at once, and compare each as soon as it is there."""
        began, waiting, results = time.monotonic(), dict[str, Snapshot](), dict[str, Result]()
        for snapshot in snapshots:
            name = snapshot.table
            results[name] = Result(name)
            self._say(f"Restoring {name}")
            try:
                self._start(snapshot, targets[name], moment)
                waiting[name] = snapshot
            except ClientError as error:
                results[name].failure = f"not restored: {error}"
        for _ in self._while_patient():
            for name in list(waiting):
                if restored := self._find_restored(targets[name]):
                    results[name].seconds = time.monotonic() - began
                    self._say(f"Comparing {name}")
                    results[name].comparison = waiting.pop(name).compare(restored)
            if not waiting:
                break
        return list(results.values())

    def _start(self, source: Snapshot, target: str, moment: datetime) -> None:
        """Begin a restore under the key of the source."""
        key = source.description.get("SSEDescription", {}).get("KMSMasterKeyArn")
        same_key = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        self._dynamodb.restore_table_to_point_in_time(
            SourceTableName=source.table,
            TargetTableName=target,
            RestoreDateTime=moment,
            **({"SSESpecificationOverride": same_key} if key else {}),
        )

    def _find_restored(self, target: str) -> Mapping[str, Any] | None:
        """Return a restored table's description once it can be used."""
        try:
            table: Mapping[str, Any] = self._dynamodb.describe_table(TableName=target)["Table"]
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return None
        return table if table["TableStatus"] == "ACTIVE" else None

    def _delete(self, names: Iterable[str]) -> list[str]:
        """Delete tables of drills, and return those that cannot be deleted (yet)."""
        present, refused = set(self._names()), []
        for name in names:
            if MARK not in name:
                raise ValueError(f"{name} is no table of a drill")
            if name not in present:
                continue
            try:
                self._dynamodb.delete_table(TableName=name)
            except ClientError as error:
                self._say(f"{name} stays for now; delete it by --clean-up: {error}")
                refused.append(name)
        return refused

    def _while_patient(self) -> Iterator[int]:
        """Yield until the patience ends, with a pause before each time but the first."""
        deadline = time.monotonic() + self._patience_seconds
        for attempt in itertools.count():
            if attempt:
                if time.monotonic() >= deadline:
                    return
                self._sleep(POLL_SECONDS)
            yield attempt


def _line(result: Result, width: int) -> str:
    seconds = "-" if result.seconds is None else f"{result.seconds:.0f} s"
    items, compared = "-", "-"
    if result.comparison is not None:
        items, compared = str(result.comparison.items), str(result.comparison.compared)
    return f"{result.table:<{width}}  {seconds:>8}  {items:>9}  {compared:>8}  {result.verdict}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill and return the exit code."""
    stages = json.loads(SETTINGS.read_text())["context"]["stages"]
    parser = argparse.ArgumentParser(prog="python -m infra.restore_drill", description=__doc__)
    parser.add_argument("--stage", required=True, choices=sorted(stages))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="only tell what would be restored")
    what.add_argument("--clean-up", action="store_true", help="only delete what drills have left")
    chosen = parser.parse_args(arguments)
    region = stages[chosen.stage]["region"]
    drill = Drill(boto3.client("dynamodb", region_name=region), chosen.stage)
    try:
        if chosen.clean_up:
            return 1 if drill.clean_up() else 0
        if chosen.dry_run:
            for name, prospect in drill.plan():
                print(f"{name}: {prospect}")
            drill.require_possible()
            return 0
        report = drill.run()
    except DrillError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{report}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
