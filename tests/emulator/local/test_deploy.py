"""Deploying an assembly: changes are updated, failures named, what is dropped is set."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import assembly
from local.deploy import Deployer
from local.errors import LocalError
from local.session import Clients

Deploy = Callable[..., list[str]]


@pytest.fixture
def deploy(bare: Clients, tmp_path: Path) -> Deploy:
    """Deploy one template as a stack and list what was done."""

    def run(name: str, resources: dict[str, Any], **rest: Any) -> list[str]:
        template = json.dumps({"Resources": resources, **rest})
        (tmp_path / "t.json").write_text(template)
        code = tmp_path / "code"
        stack = assembly.Stack(
            artifact=name,
            name=name,
            template_path=tmp_path / "t.json",
            template_url=f"s3://assets/{hash(template)}.json",
            tags={"project": "mailroom"},
            dependencies=frozenset(),
            assets=(
                assembly.Asset(tmp_path / "t.json", False, "assets", f"{hash(template)}.json"),
                *(
                    assembly.Asset(folder, True, "assets", f"{folder.name}.zip")
                    for folder in (code.iterdir() if code.exists() else ())
                ),
            ),
        )
        reported: list[str] = []
        Deployer(bare, reported.append).deploy([stack])
        return [line.rsplit(" in ", 1)[0] for line in reported]

    return run


def queue(name: str) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}


def test_a_stack_is_created_then_left_alone_then_updated(deploy: Deploy, bare: Clients) -> None:
    assert deploy("one", {"A": queue("one-a")}) == ["one created"]
    assert deploy("one", {"A": queue("one-a")}) == []
    assert deploy("one", {"A": queue("one-a"), "B": queue("one-b")}) == ["one updated"]
    assert bare.client("sqs").get_queue_url(QueueName="one-b")["QueueUrl"]


def test_a_stack_that_asks_for_the_emulator_is_told_its_address(
    deploy: Deploy, bare: Clients
) -> None:
    parameter = {"Emulator": {"Type": "String", "Default": "http://localhost:4566"}}
    value = {"Name": "/address", "Type": "String", "Value": {"Ref": "Emulator"}}
    resources = {"A": {"Type": "AWS::SSM::Parameter", "Properties": value}}
    deploy("address", resources, Parameters=parameter)
    found = bare.client("ssm").get_parameter(Name="/address")["Parameter"]["Value"]
    assert found == bare.endpoint


def test_a_failure_names_resource_and_reason_and_can_be_mended(deploy: Deploy) -> None:
    broken = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": "broken",
            "Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:absent:1"],
        },
    }
    with pytest.raises(LocalError, match=r"stack two failed: AWS::Lambda::Function Broken: \S+"):
        deploy("two", {"A": queue("two-a"), "Broken": broken})
    assert deploy("two", {"A": queue("two-a")}) == ["two created"]


def test_a_type_that_the_emulator_lacks_is_named(deploy: Deploy) -> None:
    with pytest.raises(LocalError, match=r"three.*AWS::Budgets::Budget"):
        deploy("three", {"A": {"Type": "AWS::Budgets::Budget", "Properties": {}}})


def test_changed_code_is_what_runs_next(
    deploy: Deploy, bare: Clients, tmp_path: Path, make_role: Callable[..., str]
) -> None:
    role = make_role("answers-role")

    def answer_of(version: str) -> Any:
        folder = tmp_path / "code" / version
        folder.mkdir(parents=True)
        (folder / "answers.py").write_text(f"def handler(event, context):\n    return '{version}'")
        function = {
            "FunctionName": "answers",
            "Runtime": "python3.13",
            "Handler": "answers.handler",
            "Role": role,
            "Code": {"S3Bucket": "assets", "S3Key": f"{version}.zip"},
        }
        deploy("four", {"F": {"Type": "AWS::Lambda::Function", "Properties": function}})
        return json.loads(bare.client("lambda").invoke(FunctionName="answers")["Payload"].read())

    assert [answer_of("first"), answer_of("second")] == ["first", "second"]


def test_what_cloudformation_drops_is_set(
    deploy: Deploy, bare: Clients, make_role: Callable[..., str]
) -> None:
    table = {
        "TableName": "dropped",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    function = {
        "FunctionName": "reserved",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": make_role("reserved-role"),
        "Code": {"ZipFile": "def handler(event, context): return 1"},
        "ReservedConcurrentExecutions": 7,
    }
    api = {
        "Name": "dropped",
        "ProtocolType": "HTTP",
        "Tags": {"ms-custom-id": "d10bbed0"},
        "CorsConfiguration": {"AllowOrigins": ["https://app.example.com"], "AllowMethods": ["*"]},
    }
    deploy(
        "five",
        {
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": api},
        },
    )
    dynamodb = bare.client("dynamodb")
    ttl = dynamodb.describe_time_to_live(TableName="dropped")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")
    backups = dynamodb.describe_continuous_backups(TableName="dropped")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    concurrency = bare.client("lambda").get_function_concurrency(FunctionName="reserved")
    assert concurrency["ReservedConcurrentExecutions"] == 7
    cors = bare.client("apigatewayv2").get_api(ApiId="d10bbed0")["CorsConfiguration"]
    assert cors["AllowOrigins"] == ["https://app.example.com"]
