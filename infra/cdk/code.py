"""Stages the code of a context's functions, from where the CDK copies it into its output.

What is generated from the whole tree for the kernel's functions is made anew here, so that a
deployment can never carry a stale one.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from infra import openapi, subscribers
from infra.cdk import tree

_STAGED: Final = tempfile.TemporaryDirectory(prefix="mailroom-code-")


@cache
def stage(context: str) -> Path:
    """Return the folder that a context's functions are deployed from."""
    folder = Path(_STAGED.name) / context
    shutil.copytree(
        tree.ROOT / "functions" / context,
        folder,
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
    )
    if context == "kernel":
        document = openapi.render(openapi.build(openapi.endpoints()))
        (folder / openapi.FILE.name).write_text(document)
        (folder / subscribers.FILE.name).write_text(subscribers.build())
    return folder
