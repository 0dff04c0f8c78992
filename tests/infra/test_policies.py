"""Roles hold exact actions on named resources, and reach no other context's data."""

import re

import pytest

from infra.cdk import tree
from infra.cdk.constructs.resources import TaskTokens, allow
from tests.infra.assembly import Assembly, Resource

UNBOUND = {
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "states:SendTaskSuccess",
    "states:SendTaskFailure",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
"""The actions for which IAM knows no narrower resource than `*`."""

SUFFIXES = re.compile(
    r"arn:aws:(dynamodb:[^*]+:table/[^*]+/(index|stream)/"
    r"|s3:::[^*]+/([^*]+/)?"
    r"|states:[^*]+:execution:[^*:]+:)\*"
)


def roles(assembly: Assembly) -> list[Resource]:
    return list(assembly.resources("AWS::IAM::Role"))


def test_no_action_has_a_wildcard(assembly: Assembly) -> None:
    for role in roles(assembly):
        for statement in assembly.statements(role):
            assert not [action for action in statement["Action"] if "*" in action], role


def test_wildcards_are_suffixes_or_have_no_alternative(assembly: Assembly) -> None:
    for role in roles(assembly):
        for statement in assembly.statements(role):
            for resource in statement["Resource"]:
                if resource == "*":
                    assert set(statement["Action"]) <= UNBOUND, role
                elif "*" in resource:
                    assert SUFFIXES.fullmatch(resource), (str(role), resource)


def test_no_function_has_a_policy_of_aws(assembly: Assembly) -> None:
    managed = [role for role in roles(assembly) if role.properties.get("ManagedPolicyArns")]
    services = {
        statement["Principal"]["Service"]
        for role in managed
        for statement in role.properties["AssumeRolePolicyDocument"]["Statement"]
    }
    assert services <= {"backup.amazonaws.com", "apigateway.amazonaws.com"}


def test_functions_reach_only_their_contexts_tables_and_the_kernels(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        context = name.split("/")[0]
        allowed = {context, "gate", "journal", "timers"}
        for statement in assembly.statements(assembly.role_of(function)):
            for resource in statement["Resource"]:
                if table := re.search(rf":table/mailroom-{assembly.stage}-([a-z_]+)", resource):
                    assert table[1] in allowed, name


def test_endpoints_can_admit_and_verify(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        trigger = tree.handler(*name.split("/"))
        if trigger.kind != "endpoint":
            continue
        statements = assembly.statements(assembly.role_of(function))
        gate = {
            action
            for statement in statements
            for action in statement["Action"]
            if any(item.endswith("-gate") for item in statement["Resource"])
        }
        assert not trigger.route.limited or gate >= {"dynamodb:GetItem", "dynamodb:UpdateItem"}, (
            name
        )
        verifies = any("kms:GetPublicKey" in statement["Action"] for statement in statements)
        assert verifies or trigger.public, name


def test_nobody_scans_or_administers(assembly: Assembly) -> None:
    forbidden = {"dynamodb:Scan", "dynamodb:DeleteTable", "iam:PassRole", "kms:CreateGrant"}
    for function in assembly.functions().values():
        for statement in assembly.statements(assembly.role_of(function)):
            assert not forbidden & set(statement["Action"]), function


def test_only_identity_signs_tokens(assembly: Assembly) -> None:
    signers = {
        name.split("/")[0]
        for name, function in assembly.functions().items()
        for statement in assembly.statements(assembly.role_of(function))
        if "kms:Sign" in statement["Action"]
    }
    assert signers <= {"identity"}


def test_data_keys_are_used_by_way_of_a_service_only(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        for statement in assembly.statements(assembly.role_of(function)):
            data = {f"/keys/{context}" for context in tree.contexts()}
            parameters = {
                str(assembly.parameter(function.stack, {"Ref": resource.strip("<>")}))
                for resource in statement["Resource"]
            }
            if any(parameter.endswith(tuple(data)) for parameter in parameters):
                assert "kms:ViaService" in statement["Condition"]["StringEquals"], name


def test_flows_may_invoke_exactly_their_steps(assembly: Assembly) -> None:
    for machine in assembly.resources("AWS::StepFunctions::StateMachine"):
        steps = machine.properties["DefinitionSubstitutions"]
        invoked = {
            resource
            for statement in assembly.statements(assembly.role_of(machine))
            if statement["Action"] == ["lambda:InvokeFunction"]
            for resource in statement["Resource"]
        }
        assert len(invoked) == len(steps)
        functions = {item.properties["FunctionName"] for item in assembly.functions().values()}
        assert {arn.rpartition(":")[2] for arn in invoked} <= functions


def test_wildcards_need_a_reason() -> None:
    with pytest.raises(ValueError, match="exact actions"):
        allow("dynamodb", ["*"], ["arn:aws:dynamodb:::table/a"])
    with pytest.raises(ValueError, match="Say why"):
        allow("dynamodb", ["GetItem"], ["*"])
    with pytest.raises(ValueError, match="SendTaskSuccess"):
        TaskTokens().statements(None, ["StartExecution"])  # type: ignore[arg-type]
