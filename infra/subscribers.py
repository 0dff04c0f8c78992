"""Who subscribes to which event: `python -m infra.subscribers` writes what the publisher reads.

A file in the function's asset has room for any number of subscribers, where the environment of a
function ends at 4 KB and a parameter would be one more call.
"""

import json
from typing import Final

from infra.cdk import tree

FILE: Final = tree.ROOT / "functions" / "kernel" / "subscribers.json"


def build() -> str:
    """Return the names of all subscribers by event type, as JSON."""
    names: dict[str, list[str]] = {}
    for context in tree.contexts():
        for file in sorted(tree.function_files(context)):
            trigger = tree.handler(context, file)
            if trigger.kind == "subscriber":
                names.setdefault(trigger.event_type, []).append(f"{context}/{file}")
    return json.dumps(names, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(build())
