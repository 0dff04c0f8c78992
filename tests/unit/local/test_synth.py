from pathlib import Path

import pytest

from local.synth import failure_of, inputs_digest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("print(1)")
    (tmp_path / "functions" / "billing").mkdir(parents=True)
    (tmp_path / "functions" / "billing" / "pay.py").write_text("handler = None")
    return tmp_path


def test_digest_follows_content(repository: Path) -> None:
    before = inputs_digest(repository)
    (repository / "functions" / "billing" / "pay.py").write_text("handler = 1")
    assert inputs_digest(repository) != before


def test_digest_follows_a_new_file(repository: Path) -> None:
    before = inputs_digest(repository)
    (repository / "functions" / "billing" / "refund.py").write_text("")
    assert inputs_digest(repository) != before


def test_digest_follows_a_renamed_file(repository: Path) -> None:
    before = inputs_digest(repository)
    (repository / "functions" / "billing" / "pay.py").rename(
        repository / "functions" / "billing" / "charge.py"
    )
    assert inputs_digest(repository) != before


def test_digest_ignores_caches_and_what_is_no_input(repository: Path) -> None:
    before = inputs_digest(repository)
    (repository / "functions" / "billing" / "__pycache__").mkdir()
    (repository / "functions" / "billing" / "__pycache__" / "pay.cpython-313.pyc").write_text("x")
    (repository / "docs").mkdir()
    (repository / "docs" / "index.md").write_text("x")
    assert inputs_digest(repository) == before


def test_a_failed_app_is_told_in_one_line() -> None:
    output = """Traceback (most recent call last):
  File "app.py", line 3, in <module>
    main()
infra.cdk.composition.IncompleteError: Not in any stack:
  billing.py: add pay
"""
    assert failure_of(output) == (
        "infra.cdk.composition.IncompleteError: Not in any stack: billing.py: add pay"
    )
    assert failure_of("") == "no output"
