"""The builder of layers: the same bytes every time, trimmed, and anew when something changed."""

import json
import py_compile
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cdk import layers
from tests.infra.assembly import ROOT


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A source tree with one requirements file and one first-party layer; pip is not asked."""
    requirements = tmp_path / "layers" / "dependencies" / "core" / "requirements.txt"
    requirements.parent.mkdir(parents=True)
    requirements.write_text("thing==1\n")
    own = tmp_path / "layers" / "billing" / "python" / "billing"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text('"""Billing."""\n')
    (own / "__pycache__").mkdir()
    (own / "__pycache__" / "stale.pyc").write_bytes(b"stale")
    monkeypatch.setattr(layers, "ROOT", tmp_path)
    monkeypatch.setattr(layers, "_install", install)
    layers.build.cache_clear()
    yield tmp_path
    layers.build.cache_clear()


def install(_requirements: Path, folder: Path, _target: str) -> None:
    files = {
        "thing/__init__.py": "VALUE = 1\n",
        "thing/__init__.pyi": "VALUE: int\n",
        "thing/tests/test_thing.py": "",
        "thing-1.dist-info/METADATA": "Name: thing\nVersion: 1\n",
        "thing-1.dist-info/RECORD": "…",
        "bin/thing": "#!",
        "boto3/__init__.py": "",
        "boto3-1.dist-info/METADATA": "",
        "botocore/data/dynamodb/2012-08-10/service-2.json.gz": "",
        "botocore/data/ec2/2016-11-15/service-2.json.gz": "",
        "botocore/data/endpoints.json": json.dumps(
            {"partitions": [{"partition": "aws"}, {"partition": "aws-cn"}], "version": 3}
        ),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def build(name: str, target: layers.Target = "local") -> dict[str, bytes]:
    layers.build.cache_clear()
    with zipfile.ZipFile(layers.build(name, target)) as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


def test_a_layer_has_what_functions_load_and_nothing_else(tree: Path) -> None:
    sources = {name for name in build("dependencies-core") if not name.endswith(".pyc")}
    assert sources == {
        "python/thing/__init__.py",
        "python/thing-1.dist-info/METADATA",
        "python/botocore/data/dynamodb/2012-08-10/service-2.json.gz",
        "python/botocore/data/endpoints.json",
    }


def test_endpoints_are_those_of_one_partition(tree: Path) -> None:
    document = json.loads(build("dependencies-core")["python/botocore/data/endpoints.json"])
    assert document == {"partitions": [{"partition": "aws"}], "version": 3}


def test_bytecode_is_never_checked_against_its_source(tree: Path) -> None:
    compiled = [content for name, content in build("billing").items() if name.endswith(".pyc")]
    assert compiled
    for content in compiled:
        flags = int.from_bytes(content[4:8], "little")
        assert flags == 0b01, "PEP 552: hash-based, unchecked"


def test_bytecode_names_the_path_in_lambda(tree: Path) -> None:
    [compiled] = [content for name, content in build("billing").items() if name.endswith(".pyc")]
    assert b"/opt/python/billing/__init__.py" in compiled
    assert str(tree).encode() not in compiled


def test_bytecode_of_another_python_is_not_shipped(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "_compiler", lambda _target: None)
    assert not [name for name in build("billing", "aws") if name.endswith(".pyc")]


def test_stale_bytecode_is_left_behind(tree: Path) -> None:
    assert not [name for name in build("billing") if "stale" in name]


def test_the_same_content_gives_the_same_bytes(tree: Path) -> None:
    layers.build.cache_clear()
    first = layers.build("billing", "local").read_bytes()
    for file in (tree / ".build").rglob("*"):
        if file.is_file():
            file.unlink()
    layers.build.cache_clear()
    assert layers.build("billing", "local").read_bytes() == first


def test_a_layer_is_built_anew_when_something_changed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("dependencies-core")
    monkeypatch.setattr(layers, "_install", lambda *_: pytest.fail("built again"))
    build("dependencies-core")
    (tree / "layers" / "dependencies" / "core" / "requirements.txt").write_text("thing==2\n")
    with pytest.raises(pytest.fail.Exception, match="built again"):
        build("dependencies-core")


def test_the_target_none_has_nothing_in_it(tree: Path) -> None:
    assert list(build("dependencies-core", "none")) == ["python/.empty"]


def test_pip_is_told_the_platform_of_lambda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command))
    folder = tmp_path / "python"
    folder.mkdir()
    layers._install(tmp_path / "requirements.txt", folder, "aws")
    layers._install(tmp_path / "requirements.txt", folder, "local")
    aws, local = commands
    assert {"--platform=manylinux_2_28_aarch64", "--platform=manylinux2014_aarch64"} <= set(aws)
    assert aws[aws.index("--python-version") + 1] == "3.13"
    assert "--only-binary=:all:" in aws
    assert not [argument for argument in local if "--platform" in argument]


def test_services_in_use_keep_their_data() -> None:
    """A client of a service that is not kept would fail on its first call, on AWS only."""
    used = {
        match[1]
        for folder in ("layers", "functions")
        for file in (ROOT / folder).rglob("*.py")
        for match in re.finditer(r"""\bclient\(\s*["'](\w+)["']""", file.read_text())
    }
    assert used
    assert used <= layers.SERVICES


def test_source_compiles_on_its_own(tmp_path: Path) -> None:
    py_compile.compile(
        str(ROOT / "infra" / "cdk" / "layers.py"), str(tmp_path / "out.pyc"), doraise=True
    )
