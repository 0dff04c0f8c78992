"""What a table held at a moment, well enough to tell whether a restored one is the same.

The comparison is strict although the table lives on: items are sampled before the moment and read
again after it. Those that are the same both times were so in between, and must stand in the
restored table exactly as they do in the source.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SEGMENTS: Final = 16
SAMPLES: Final = 100
"""As many as one BatchGetItem takes."""
TOLERANCE: Final = 0.01
"""How far, beyond what changed while counting, the number of items may be off."""

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What a restored table holds, and how that differs from its source."""

    items: int
    compared: int
    problems: tuple[str, ...]


@dataclass
class Snapshot:
    """A table as it was seen around a moment."""

    dynamodb: Any = field(repr=False)
    table: str
    description: Mapping[str, Any]
    samples: dict[str, Item] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)

    @classmethod
    def begin(cls, dynamodb: Any, table: str) -> "Snapshot":
        """Look at a table before the moment: sample it and count it."""
        description = dynamodb.describe_table(TableName=table)["Table"]
        snapshot = cls(dynamodb, table, description)
        for segment in random.sample(range(SEGMENTS), SEGMENTS):
            if (wanted := SAMPLES - len(snapshot.samples)) <= 0:
                break
            page = dynamodb.scan(
                TableName=table,
                ConsistentRead=True,
                Limit=wanted,
                Segment=segment,
                TotalSegments=SEGMENTS,
            )
            snapshot.samples |= {_identity(item): _sorted(item) for item in page["Items"]}
        snapshot.counts.append(_count(dynamodb, table))
        return snapshot

    def complete(self) -> None:
        """Look again after the moment: keep the samples that did not change, and count."""
        present = _read(self.dynamodb, self.table, self.samples.values())
        self.samples = {
            identity: item
            for identity, item in self.samples.items()
            if present.get(identity) == item
        }
        self.counts.append(_count(self.dynamodb, self.table))

    def compare(self, restored: Mapping[str, Any]) -> Comparison:
        """Hold schema, number of items and samples against a restored table, by description."""
        table: str = restored["TableName"]
        problems = []
        if _schema(restored) != _schema(self.description):
            problems.append("keys or indexes differ")
        items, low, high = _count(self.dynamodb, table), min(self.counts), max(self.counts)
        if not low - TOLERANCE * high <= items <= high + TOLERANCE * high:
            problems.append(f"{items} items, where the source has {low} to {high}")
        found = _read(self.dynamodb, table, self.samples.values())
        missing = [identity for identity in self.samples if identity not in found]
        other = [identity for identity, item in found.items() if item != self.samples[identity]]
        for identities, what in ((missing, "missing"), (other, "different")):
            if identities:
                share = f"{len(identities)} of {len(self.samples)} samples"
                problems.append(f"{share} are {what}: {identities[0]}")
        return Comparison(items, len(self.samples), tuple(problems))


def _count(dynamodb: Any, table: str) -> int:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table, Select="COUNT", ConsistentRead=True
    )
    return sum(page["Count"] for page in pages)


def _read(dynamodb: Any, table: str, items: Iterable[Item]) -> dict[str, Item]:
    """Return the items that a table has under the keys of these."""
    keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
    wanted = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
    found: dict[str, Item] = {}
    while wanted:
        answer = dynamodb.batch_get_item(RequestItems=wanted)
        found |= {_identity(item): _sorted(item) for item in answer["Responses"].get(table, [])}
        wanted = answer.get("UnprocessedKeys", {})
    return found


def _identity(item: Item) -> str:
    return f"{item['pk']['S']} {item['sk']['S']}"


def _sorted(item: Item) -> Item:
    """Return an item whose sets are in order, so that equal items are equal."""

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            sets = {"SS", "NS", "BS"} & value.keys()
            return {k: sorted(v) if k in sets else visit(v) for k, v in value.items()}
        return [visit(entry) for entry in value] if isinstance(value, list) else value

    return {name: visit(value) for name, value in item.items()}


def _schema(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of a table's description a restore must keep."""
    indexes = {
        index["IndexName"]: (_keys(index), index["Projection"])
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    types = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}
    return {"keys": _keys(table), "types": types, "indexes": indexes}


def _keys(described: Mapping[str, Any]) -> dict[str, str]:
    return {item["KeyType"]: item["AttributeName"] for item in described["KeySchema"]}
