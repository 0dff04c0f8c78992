"""Limits of stacks, what each stage has, and how stacks refer to each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.cdk.stage import Stage
from tests.infra.assembly import Assembly, synthesise

REFUSED_BY_THE_EMULATOR = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::Backup::BackupSelection",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::Events::ApiDestination",
    "AWS::Events::Archive",
    "AWS::Events::Connection",
    "AWS::SES::ReceiptRule",
    "AWS::SES::ReceiptRuleSet",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::StepFunctions::StateMachineVersion",
    "AWS::XRay::Group",
}


def test_stacks_stay_below_the_limit(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        assert len(template["Resources"]) < 400, name
        assert len(json.dumps(template)) < 1_000_000, name
        assert len(template.get("Outputs", {})) < 200, name


def test_the_api_stays_below_its_limit_of_routes_and_integrations(assembly: Assembly) -> None:
    for kind in ("AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"):
        assert len(list(assembly.resources(kind))) < 280, "300 is a hard limit"


def test_nothing_is_exported_or_imported(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        assert "Fn::ImportValue" not in json.dumps(template), name
        assert not [
            output for output in template.get("Outputs", {}).values() if "Export" in output
        ], name


def test_parameters_between_stacks_are_written_before_they_are_read(assembly: Assembly) -> None:
    writers = {
        parameter.properties["Name"]: parameter.stack
        for parameter in assembly.resources("AWS::SSM::Parameter")
    }
    for name, template in assembly.templates.items():
        before = everything_before(assembly, name)
        for parameter in template.get("Parameters", {}).values():
            if (
                parameter["Type"].startswith("AWS::SSM::")
                and "cdk-bootstrap" not in parameter["Default"]
            ):
                assert writers[parameter["Default"]] in before, (name, parameter["Default"])


def everything_before(assembly: Assembly, stack: str) -> set[str]:
    direct = set(assembly.manifest[stack].get("dependencies", ())) & assembly.manifest.keys()
    return direct.union(*(everything_before(assembly, earlier) for earlier in direct))


def test_stacks_are_named_by_stage_and_context(assembly: Assembly) -> None:
    for name, artifact in assembly.manifest.items():
        assert artifact["properties"]["stackName"] == f"mailroom-{assembly.stage}-{name}"


def test_what_each_stage_has(local: Assembly, staging: Assembly, production: Assembly) -> None:
    operated = {"monitoring", "edge", "backup", "backup-copy"}
    assert "sandbox" in local.templates
    assert not operated & local.templates.keys()
    assert staging.templates.keys() == local.templates.keys() | operated
    assert production.templates.keys() == staging.templates.keys() - {"sandbox"}


def test_the_emulator_gets_nothing_that_it_refuses(local: Assembly) -> None:
    assert not {resource.type for resource in local.resources()} & REFUSED_BY_THE_EMULATOR
    assert not [item for item in local.resources() if item.type.startswith("Custom::")]


def test_no_stage_has_custom_resources(assembly: Assembly) -> None:
    functions = list(assembly.resources("AWS::Lambda::Function"))
    assert {function.properties["Runtime"] for function in functions} == {"python3.13"}
    assert not [item for item in assembly.resources() if item.type.startswith("Custom::")]


def test_assets_are_files(assembly: Assembly) -> None:
    for manifest in assembly.folder.glob("*.assets.json"):
        assert not json.loads(manifest.read_text()).get("dockerImages")


def test_the_same_tree_gives_the_same_templates(local: Assembly, tmp_path: Path) -> None:
    assert synthesise("local", tmp_path).returncode == 0
    assert Assembly(tmp_path, "local").templates == local.templates


def test_the_emulators_api_has_a_stable_address(local: Assembly) -> None:
    [api] = local.resources("AWS::ApiGatewayV2::Api")
    assert api.properties["Tags"]["ms-custom-id"] == "0a11b0c5"


def test_the_api_is_logged_throttled_and_open_to_browsers(assembly: Assembly) -> None:
    [api] = assembly.resources("AWS::ApiGatewayV2::Api")
    [stage] = assembly.resources("AWS::ApiGatewayV2::Stage")
    cors = api.properties["CorsConfiguration"]
    assert {"authorization", "idempotency-key", "x-api-key"} <= set(cors["AllowHeaders"])
    assert not cors.get("AllowCredentials"), "tokens are sent by scripts, never by cookies"
    assert stage.properties["AccessLogSettings"]["DestinationArn"]
    assert stage.properties["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    names = json.loads(stage.properties["AccessLogSettings"]["Format"])
    assert "authorization" not in json.dumps(names).lower()


def test_the_edge_limits_and_logs_without_credentials(staging: Assembly) -> None:
    [acl] = staging.resources("AWS::WAFv2::WebACL")
    assert acl.properties["Scope"] == "CLOUDFRONT"
    rules = {rule["Name"]: rule for rule in acl.properties["Rules"]}
    assert rules["rate"]["Action"] == {"Block": {}}
    [logging] = staging.resources("AWS::WAFv2::LoggingConfiguration")
    redacted = {item["SingleHeader"]["Name"] for item in logging.properties["RedactedFields"]}
    assert redacted >= {"authorization", "x-api-key"}
    [distribution] = staging.resources("AWS::CloudFront::Distribution")
    config = distribution.properties["DistributionConfig"]
    assert config["WebACLId"] == {"Fn::GetAtt": [acl.logical_id, "Arn"]}
    assert staging.manifest["edge"]["environment"].endswith("/us-east-1")


def test_backups_hold_every_table_and_go_to_a_second_region(staging: Assembly) -> None:
    [plan] = staging.resources("AWS::Backup::BackupPlan")
    [rule] = plan.properties["BackupPlan"]["BackupPlanRule"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": 30}
    assert ":us-west-2:" in json.dumps(rule["CopyActions"])
    [selection] = staging.resources("AWS::Backup::BackupSelection")
    chosen = json.dumps(selection.properties["BackupSelection"]["Resources"])
    for table in staging.resources("AWS::DynamoDB::Table"):
        assert table.stack == "sandbox" or f"table/{table.properties['TableName']}" in chosen
    assert staging.manifest["backup-copy"]["environment"].endswith("/us-west-2")


def test_the_sandbox_routes_what_the_fakes_serve(local: Assembly) -> None:
    from sandbox import entry

    resources = {
        item.logical_id: item.properties for item in local.resources("AWS::ApiGateway::Resource")
    }

    def path_of(reference: dict[str, Any]) -> str:
        if "Fn::GetAtt" in reference:
            return ""
        own = resources[reference["Ref"]]
        return f"{path_of(own['ParentId'])}/{own['PathPart']}"

    routed = {
        (path_of(method.properties["ResourceId"]), method.properties["HttpMethod"])
        for method in local.resources("AWS::ApiGateway::Method")
    }
    assert routed == {(path, method) for path, methods in entry.routes() for method in methods}


def test_production_refuses_a_sandbox() -> None:
    with pytest.raises(ValueError, match="no place in production"):
        Stage(name="production", region="us-east-1", sandbox=True)
