"""What README.md and docs/ say of the code is so: generated parts, links, files and routes."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from infra import error_catalog, generated_docs
from infra.cdk import tree
from kernel.errors import MailroomError
from kernel.problems import problem_of

PAGES = {str(page.relative_to(tree.ROOT)): page for page in generated_docs.pages()}
EXAMPLES = ("create_note", "test_notes", "notes.py", "/v1/notes")
"""What the guide adds, and the tree does not have."""

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"`([^`\n]+)`")
ROUTE = re.compile(r"\b(GET|POST|PATCH|PUT|DELETE) (/[\w/{}.-]*)")
FOLDERS = tuple(
    f"{name}/" for name in ("docs", "events", "functions", "infra", "layers", "local", "sandbox")
)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return what a link can point at: headings as GitHub names them, and explicit anchors."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return frozenset(slugs | set(re.findall(r'<a id="([^"]+)">', text)))


@pytest.mark.parametrize("page", PAGES)
def test_generated_parts_are_those_of_today(page: str) -> None:
    text = PAGES[page].read_text()
    assert generated_docs.render(text) == text, "run: python -m infra.generated_docs"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for path, anchor in LINK.findall(PAGES[page].read_text()):
        target = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    for name in CODE.findall(PAGES[page].read_text()):
        if name.startswith(FOLDERS) and not re.search(r"[<>{}*…\s]", name):
            is_example = any(example in name for example in EXAMPLES)
            assert is_example or (tree.ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES)
def test_routes_that_are_named_exist(page: str) -> None:
    handlers = [
        tree.handler(context, file)
        for context in tree.contexts()
        for file in tree.function_files(context)
    ]
    routes = {(item.method, item.path) for item in handlers if item.kind == "endpoint"}
    for method, path in ROUTE.findall(PAGES[page].read_text()):
        assert path in EXAMPLES or (method, path.rstrip(".")) in routes, f"{method} {path}"


def test_every_code_has_its_anchor_under_the_problem_type() -> None:
    found = anchors(PAGES["docs/guides/errors.md"])
    for entry in error_catalog.entries():
        assert entry.code in found
    kind, _, anchor = problem_of(MailroomError(), "req_1")["type"].partition("#")
    assert (kind, anchor in found) == ("/docs/problems", True)


def test_advice_is_about_codes_that_exist() -> None:
    entries = {entry.code: entry for entry in error_catalog.entries()}
    assert set(error_catalog.BY_CODE) <= set(entries)
    assert all(entry.advice and entry.meaning for entry in entries.values())


def test_decisions_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (tree.ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        first = (tree.ROOT / "docs" / "decisions" / name).read_text().partition("\n")[0]
        assert first.startswith(f"# {int(name[:4])}. ")


def test_stage_settings_are_all_explained() -> None:
    guide = (tree.ROOT / "docs" / "guides" / "deploy-to-aws.md").read_text()
    stages = json.loads((tree.ROOT / "cdk.json").read_text())["context"]["stages"]
    for name in {name for stage in stages.values() for name in stage} - {"layers"}:
        assert f"`{name}`" in guide
