"""The parts of docs/ that are read from the code: `python -m infra.generated_docs` writes them.

A page names such a part between `<!-- begin: error codes -->` and `<!-- end -->`. What stands
around it is written by hand and stays as it is.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from contracts.events import REGISTRY
from infra import error_catalog, flow_pictures, subscribers
from infra.cdk import tree

_PART: Final = re.compile(r"(<!-- begin: (?P<name>[^>]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def pages() -> Iterator[Path]:
    """Yield the pages, README.md among them."""
    yield tree.ROOT / "README.md"
    yield from sorted((tree.ROOT / "docs").rglob("*.md"))


def render(page: str) -> str:
    """Return a page with its generated parts as they are today; KeyError for an unknown part."""
    parts = _parts()
    return _PART.sub(lambda match: match[1] + parts[match["name"]]() + match[3], page)


def _parts() -> dict[str, Callable[[], str]]:
    flows = {f"flow {flow}": lambda flow=flow: flow_pictures.draw(flow) for flow in tree.flows()}
    return {"error codes": error_catalog.tables, "events": _events, **flows}


def _events() -> str:
    """Return the table of events and who subscribes to each."""
    names: dict[str, list[str]] = json.loads(subscribers.build())
    rows = []
    for event_type, event in sorted(REGISTRY.items()):
        if not event.__module__.startswith("contracts."):
            continue
        meaning = str(event.__doc__).partition("\n")[0]
        readers = ", ".join(f"`{name}`" for name in names.get(event_type, [])) or "-"
        rows.append(f"| `{event_type}` | {meaning} | {readers} |\n")
    return "| event | meaning | subscribers |\n|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    for path in pages():
        path.write_text(render(path.read_text()))
