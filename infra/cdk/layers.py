"""Builds layers into `.build/layers/<target>/<name>.zip`, byte for byte the same every time.

Target `local` is for the interpreter that runs the emulator, `aws` for Lambda's Python on arm64;
`none` stands for empty layers where only the templates matter. A layer is built anew when what
goes into it changes.

What makes cold starts short (figures in docs): bytecode that is never checked against its source,
no boto3, and botocore with the data of the services in use only.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final, Literal

from infra.cdk.tree import ROOT

Target = Literal["local", "aws", "none"]

SERVICES: Final = frozenset(
    {"dynamodb", "events", "kms", "lambda", "s3", "secretsmanager"}
    | {"ses", "sesv2", "sqs", "ssm", "stepfunctions", "sts"}
)
"""Services whose data stays in botocore; a test holds that functions use no other."""

_AWS_PYTHON: Final = "3.13"
_AWS_PLATFORMS: Final = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")
_UNUSED_PACKAGES: Final = ("boto3", "s3transfer", "pip", "setuptools", "wheel")
_UNUSED_FILES: Final = ("bin", "**/tests", "**/*.pyi", "**/*.dist-info/RECORD", "**/__pycache__")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@cache
def build(name: str, target: Target) -> Path:
    """Return the zip of `dependencies-<group>`, `kernel`, a context or the sandbox's own code."""
    if target == "none":
        name = "empty"
    archive = ROOT / ".build" / "layers" / target / f"{name}.zip"
    key = _key(name, target)
    stamp = archive.with_suffix(".key")
    if archive.exists() and stamp.exists() and stamp.read_text() == key:
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        content, partial = Path(temporary) / "content", Path(temporary) / archive.name
        python = content / ("sandbox" if name == "sandbox" else "python")
        python.mkdir(parents=True)
        if name.startswith("dependencies-"):
            _install(_requirements(name), python, target)
            _trim(python)
        elif target != "none":
            shutil.copytree(
                _sources(name),
                python,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        _compile(python, target)
        _pack(content, partial)
        partial.replace(archive)
    stamp.write_text(key)
    return archive


def _key(name: str, target: Target) -> str:
    """Return a digest of everything that the layer's content depends on."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(f"{name} {target} {_compiler(target)} {sys.version}".encode())
    if name.startswith("dependencies-"):
        digest.update(_requirements(name).read_bytes())
        digest.update(_constraints().encode())
    elif target != "none":
        for file in sorted(_sources(name).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(name: str) -> Path:
    return ROOT / "sandbox" if name == "sandbox" else ROOT / "layers" / name / "python"


def _requirements(name: str) -> Path:
    group = name.removeprefix("dependencies-")
    folder = ROOT / "sandbox" if group == "sandbox" else ROOT / "layers" / "dependencies" / group
    return folder / "requirements.txt"


@cache
def _constraints() -> str:
    """Return the versions of this environment: what was tested is what is shipped."""
    installed = {item.metadata["Name"].lower(): item.version for item in distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()))


def _install(requirements: Path, folder: Path, target: Target) -> None:
    constraints = folder.parent / "constraints.txt"
    constraints.write_text(_constraints())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-compile",
        "--requirement",
        str(requirements),
        "--constraint",
        str(constraints),
    ]
    if target == "aws":
        command += ["--python-version", _AWS_PYTHON, "--only-binary=:all:"]
        command += [f"--platform={platform}" for platform in _AWS_PLATFORMS]
    subprocess.run([*command, "--target", str(folder)], check=True)
    constraints.unlink()


def _trim(folder: Path) -> None:
    """Remove what no function loads."""
    for package in _UNUSED_PACKAGES:
        for path in (*folder.glob(package), *folder.glob(f"{package}-*.dist-info")):
            shutil.rmtree(path)
    for pattern in _UNUSED_FILES:
        for path in list(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = folder / "botocore" / "data"
    for path in data.glob("*/"):
        if path.is_dir() and path.name not in SERVICES:
            shutil.rmtree(path)
    if (endpoints := data / "endpoints.json").exists():
        document = json.loads(endpoints.read_bytes())
        kept = [item for item in document["partitions"] if item["partition"] == "aws"]
        endpoints.write_text(json.dumps(document | {"partitions": kept}))


def _compiler(target: Target) -> str | None:
    """Return the interpreter whose bytecode the target can run, or None when there is none here."""
    if target == "local":
        return sys.executable
    if sys.version_info[:2] == tuple(map(int, _AWS_PYTHON.split("."))):
        return sys.executable
    return None


def _compile(folder: Path, target: Target) -> None:
    """Compile without time stamps and check-ups; paths in tracebacks are those of Lambda."""
    if (compiler := _compiler(target)) is None:
        return
    command = [compiler, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", "/opt/python", str(folder)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "0"})


def _pack(folder: Path, archive: Path) -> None:
    """Write a zip whose bytes depend on the content only."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as output:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            output.writestr(entry, file.read_bytes())
        if not output.namelist():
            output.writestr(zipfile.ZipInfo("python/.empty", _EPOCH), b"")
