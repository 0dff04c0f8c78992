"""A bare emulator, nothing deployed on it, for the tests of the launcher itself."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.emulator import Emulator
from local.session import Clients
from local.settings import ACCOUNT_ID, Home
from local.shared import free_port

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    emulator = Emulator(free_port(), Home(tmp_path_factory.mktemp("bare")))
    emulator.start()
    try:
        yield Clients(emulator.url)
    finally:
        emulator.stop()


@dataclass
class Invocation:
    answer: Any
    error: str | None
    log: str


@pytest.fixture(scope="module")
def invoke(bare: Clients) -> Callable[..., Invocation]:
    def call(name: str, event: Any = None) -> Invocation:
        response = bare.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail"
        )
        return Invocation(
            json.loads(response["Payload"].read()),
            response.get("FunctionError"),
            base64.b64decode(response.get("LogResult", "")).decode(),
        )

    return call


@pytest.fixture(scope="module")
def make_role(bare: Clients) -> Callable[..., str]:
    def make(name: str, *statements: dict[str, Any]) -> str:
        iam = bare.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return f"arn:aws:iam::{ACCOUNT_ID}:role/{name}"

    return make


@pytest.fixture(scope="module")
def make_function(bare: Clients, make_role: Callable[..., str]) -> Callable[..., str]:
    def make(
        name: str, code: str, *statements: dict[str, Any], layers: tuple[str, ...] = ()
    ) -> str:
        function = bare.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=make_role(f"{name}-role", *statements),
            Handler="code_of_it.handler",
            Code={"ZipFile": zipped({"code_of_it.py": code})},
            Layers=list(layers),
            Timeout=10,
        )
        return str(function["FunctionArn"])

    return make


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
