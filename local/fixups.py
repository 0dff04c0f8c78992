"""Set what MiniStack's CloudFormation silently drops, from the same templates."""

from collections.abc import Iterable
from typing import Any

from local.assembly import Stack
from local.session import Clients


def apply(clients: Clients, stacks: Iterable[Stack]) -> None:
    """Set table TTL, point-in-time recovery, HTTP-API CORS and reserved concurrency."""
    for stack in stacks:
        for kind in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"):
            for properties in stack.resources(kind).values():
                _mend_table(clients.client("dynamodb"), properties)
        for properties in stack.resources("AWS::Lambda::Function").values():
            _reserve_concurrency(clients.client("lambda"), properties)
        apis = stack.resources("AWS::ApiGatewayV2::Api")
        if any("CorsConfiguration" in properties for properties in apis.values()):
            _allow_origins(clients, stack, apis)


def _mend_table(dynamodb: Any, properties: dict[str, Any]) -> None:
    name = properties["TableName"]
    if ttl := properties.get("TimeToLiveSpecification"):
        current = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if current["TimeToLiveStatus"] != "ENABLED":
            dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl["AttributeName"]},
            )
    recovery = properties.get("PointInTimeRecoverySpecification") or next(
        (r.get("PointInTimeRecoverySpecification") for r in properties.get("Replicas", [])), None
    )
    if recovery:
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={
                "PointInTimeRecoveryEnabled": recovery["PointInTimeRecoveryEnabled"]
            },
        )


def _reserve_concurrency(lambda_: Any, properties: dict[str, Any]) -> None:
    name = properties.get("FunctionName")
    if not isinstance(name, str):
        return
    if (reserved := properties.get("ReservedConcurrentExecutions")) is not None:
        lambda_.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=int(reserved)
        )


def _allow_origins(clients: Clients, stack: Stack, apis: dict[str, dict[str, Any]]) -> None:
    described = clients.client("cloudformation").describe_stack_resources(StackName=stack.name)
    physical = {
        r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described["StackResources"]
    }
    for logical_id, properties in apis.items():
        if cors := properties.get("CorsConfiguration"):
            clients.client("apigatewayv2").update_api(
                ApiId=physical[logical_id], CorsConfiguration=cors
            )
