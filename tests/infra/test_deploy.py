"""Deploying: nothing is changed before the checks and the answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import deploy
from infra.cdk.stage import Stage
from infra.deploy import Assembly, Finding

ACCOUNT = "111122223333"
STAGING = Stage(name="staging", region="us-east-1", account=ACCOUNT, backup_region="us-west-2")
SESSION: Any = boto3.Session("test", "test")
PRODUCTION = Stage(name="production", region="us-east-1", account=ACCOUNT)

IN_ORDER: dict[str, Any] = {
    "sts": ("get_caller_identity", {"Account": ACCOUNT}),
    "ssm": ("get_parameter", {"Parameter": {"Value": "30"}}),
    "lambda": ("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 1_000}}),
    "service-quotas": (
        "list_service_quotas",
        {"Quotas": [{"QuotaName": "Routes per API (HTTP API)", "Value": 300.0}]},
    ),
    "sesv2": ("get_account", {"ProductionAccessEnabled": True, "SendingEnabled": True}),
    "backup": (
        "describe_region_settings",
        {"ResourceTypeManagementPreference": {"DynamoDB": True}},
    ),
}


class Account:
    """An account that answers as it is told; each client is stubbed once."""

    def __init__(self, **answers: Any) -> None:
        self.answers = IN_ORDER | answers

    def client(self, service: str, region_name: str = "us-east-1") -> Any:
        client = SESSION.client(service, region_name=region_name)
        operation, answer = self.answers.get(f"{service} {region_name}", self.answers[service])
        stubber = Stubber(client)
        if isinstance(answer, str):
            stubber.add_client_error(operation, answer)
        else:
            stubber.add_response(operation, answer)
        stubber.activate()
        return client


class Shell:
    """Records commands; `cdk synth` leaves templates."""

    def __init__(self, folder: Path, **codes: int) -> None:
        self.folder, self.codes = folder, codes
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        if command[1] == "synth":
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "a.template.json").write_text(json.dumps({"Resources": {}}))
        return self.codes.get(command[1], 0)

    @property
    def steps(self) -> list[str]:
        return [command[1] for command in self.commands]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return Shell(tmp_path / ".build" / "cloud-staging")


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    function = {"Type": "AWS::Lambda::Function", "Properties": {"ReservedConcurrentExecutions": 20}}
    route = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {}}
    resources = {"A": function, "B": function, "C": route, "D": route}
    (tmp_path / "billing-api.template.json").write_text(json.dumps({"Resources": resources}))
    return Assembly(tmp_path)


def findings(stage: Stage, assembly: Assembly, **answers: Any) -> list[Finding]:
    return list(deploy.check(stage, assembly, Account(**answers).client))


def test_a_well_furnished_account_has_no_findings(assembly: Assembly) -> None:
    assert findings(STAGING, assembly) == []


def test_what_the_templates_need_is_counted(assembly: Assembly) -> None:
    assert assembly.reserved_concurrency == 40
    assert assembly.count("AWS::ApiGatewayV2::Route") == 2


@pytest.mark.parametrize(
    ("service", "operation", "answer", "said"),
    [
        ("sts", "get_caller_identity", {"Account": "999999999999"}, "999999999999"),
        ("ssm us-west-2", "get_parameter", "ParameterNotFound", "aws://<account>/us-west-2"),
        (
            "lambda",
            "get_account_settings",
            {"AccountLimit": {"ConcurrentExecutions": 139}},
            "Service Quotas",
        ),
        (
            "service-quotas",
            "list_service_quotas",
            {"Quotas": [{"QuotaName": "Routes per API (HTTP API)", "Value": 1.0}]},
            "2 routes",
        ),
        ("backup", "describe_region_settings", {}, "us-west-2"),
    ],
)
def test_what_would_fail_blocks(
    assembly: Assembly, service: str, operation: str, answer: Any, said: str
) -> None:
    [finding] = findings(STAGING, assembly, **{service: (operation, answer)})
    assert finding.blocks
    assert said in finding.text


def test_little_concurrency_is_told(assembly: Assembly) -> None:
    answer = ("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 140}})
    [finding] = findings(STAGING, assembly, **{"lambda": answer})
    assert not finding.blocks


def test_the_sandbox_of_ses_blocks_production_only(assembly: Assembly) -> None:
    answer = ("get_account", {"ProductionAccessEnabled": False, "SendingEnabled": True})
    [staging] = findings(STAGING, assembly, sesv2=answer)
    [production] = findings(PRODUCTION, assembly, sesv2=answer)
    assert not staging.blocks
    assert production.blocks


def test_a_check_that_is_denied_blocks_and_is_named(assembly: Assembly) -> None:
    [finding] = findings(STAGING, assembly, sesv2=("get_account", "AccessDeniedException"))
    assert finding.blocks
    assert finding.text.startswith("SES may send to anybody")


def test_an_unknown_quota_is_taken_for_the_default(assembly: Assembly) -> None:
    answer: Any = ("list_service_quotas", {"Quotas": []})
    assert findings(STAGING, assembly, **{"service-quotas": answer}) == []


def run(stage: Stage, shell: Shell, *, answer: str = "", yes: bool = False, **answers: Any) -> int:
    return deploy.deploy(
        stage, yes=yes, client=Account(**answers).client, run=shell, ask=lambda _: answer
    )


def test_what_was_shown_is_what_is_deployed(shell: Shell) -> None:
    assert run(STAGING, shell, answer="staging") == 0
    assert shell.steps == ["synth", "diff", "deploy"]
    for command in shell.commands[1:]:
        assert command[command.index("--app") + 1] == str(shell.folder)


@pytest.mark.parametrize("answer", ["", "y", "production"])
def test_anything_but_the_stages_name_deploys_nothing(shell: Shell, answer: str) -> None:
    assert run(STAGING, shell, answer=answer) == 1
    assert shell.steps == ["synth", "diff"]


def test_yes_does_not_ask(shell: Shell) -> None:
    assert run(STAGING, shell, yes=True) == 0
    assert shell.steps[-1] == "deploy"


def test_a_blocking_finding_ends_it_even_with_yes(shell: Shell) -> None:
    denied = ("get_parameter", "ParameterNotFound")
    assert run(STAGING, shell, yes=True, ssm=denied) == 1
    assert shell.steps == ["synth"]


def test_a_synthesis_that_fails_ends_it(shell: Shell) -> None:
    shell.codes = {"synth": 3}
    assert run(STAGING, shell, yes=True) == 3
    assert shell.steps == ["synth"]
