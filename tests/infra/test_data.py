"""What holds data is encrypted, recoverable, versioned, private and kept."""

import importlib
import json
from typing import Any

import pytest

from infra.cdk.stage import Stage
from kernel import tables
from tests.infra.assembly import ROOT, Assembly, Resource, as_list

CONTEXTS = ("identity", "billing", "notifications")


def models() -> list[Any]:
    modules = [tables, *(importlib.import_module(f"{context}.tables") for context in CONTEXTS)]
    return [model for module in modules for model in module.ALL]


def data(assembly: Assembly, kind: str) -> list[Resource]:
    """Return what is to be kept; the sandbox holds nothing of worth."""
    return [item for item in assembly.resources(kind) if item.stack != "sandbox"]


def test_tables_are_those_of_the_models(assembly: Assembly) -> None:
    found = {
        table.properties["TableName"]: table.properties
        for table in data(assembly, "AWS::DynamoDB::Table")
    }
    prefix = f"mailroom-{assembly.stage}-"
    by_name = {prefix + model.Meta.table_name.split("-", 2)[2]: model for model in models()}
    assert set(found) == set(by_name)
    for name, model in by_name.items():
        keys = {item["KeyType"]: item["AttributeName"] for item in found[name]["KeySchema"]}
        assert keys == {"HASH": "pk", "RANGE": "sk"}
        assert found[name]["TimeToLiveSpecification"] == {
            "AttributeName": "expires_at",
            "Enabled": True,
        }
        indexes = model._get_schema()["global_secondary_indexes"]
        assert {item["IndexName"] for item in found[name].get("GlobalSecondaryIndexes", [])} == {
            item["index_name"] for item in indexes
        }


def test_key_schemas_begin_with_the_partition_key(assembly: Assembly) -> None:
    for table in assembly.resources("AWS::DynamoDB::Table"):
        schemas = [table.properties["KeySchema"]] + [
            index["KeySchema"] for index in table.properties.get("GlobalSecondaryIndexes", [])
        ]
        for schema in schemas:
            assert schema[0]["KeyType"] == "HASH"
        used = {item["AttributeName"] for schema in schemas for item in schema}
        defined = [item["AttributeName"] for item in table.properties["AttributeDefinitions"]]
        assert used == set(defined)
        assert len(defined) == len(used)


def test_tables_are_recoverable_streamed_and_encrypted(assembly: Assembly) -> None:
    for table in assembly.resources("AWS::DynamoDB::Table"):
        properties = table.properties
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
        assert properties["SSESpecification"]["SSEType"] == "KMS"
        assert "Fn::GetAtt" in properties["SSESpecification"]["KMSMasterKeyId"]


def test_data_outlives_its_stack(staging: Assembly) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"):
        for resource in data(staging, kind):
            assert resource.document["DeletionPolicy"] == "RetainExceptOnCreate", resource
            assert resource.document["UpdateReplacePolicy"] == "Retain", resource
    for table in staging.resources("AWS::DynamoDB::Table"):
        assert table.properties["DeletionProtectionEnabled"] is True
    for name, artifact in staging.manifest.items():
        if name.endswith("-data"):
            assert artifact["properties"]["terminationProtection"] is True


def test_the_emulator_can_start_afresh(local: Assembly) -> None:
    for table in local.resources("AWS::DynamoDB::Table"):
        assert table.document["DeletionPolicy"] == "Delete"
        assert table.properties["DeletionProtectionEnabled"] is False


def test_buckets_are_private_versioned_and_encrypted(assembly: Assembly) -> None:
    for bucket in assembly.resources("AWS::S3::Bucket"):
        properties = bucket.properties
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        rules = properties["OwnershipControls"]["Rules"]
        assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic"])
def test_only_tls_is_spoken(staging: Assembly, kind: str) -> None:
    policies = {
        "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
        "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
        "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
    }
    policy_kind, target = policies[kind]
    guarded = {
        str(staging.named(policy.stack, reference))
        for policy in staging.resources(policy_kind)
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for reference in as_list(policy.properties[target])
    }
    assert {str(resource) for resource in staging.resources(kind)} <= guarded


def test_queues_topics_secrets_logs_and_bus_are_encrypted(assembly: Assembly) -> None:
    for queue in assembly.resources("AWS::SQS::Queue"):
        assert queue.properties["SqsManagedSseEnabled"] is True
    for topic in assembly.resources("AWS::SNS::Topic"):
        assert "KmsMasterKeyId" in topic.properties
    for secret in assembly.resources("AWS::SecretsManager::Secret"):
        assert "KmsKeyId" in secret.properties
    for bus in assembly.resources("AWS::Events::EventBus"):
        assert "KmsKeyIdentifier" in bus.properties
    for group in assembly.resources("AWS::Logs::LogGroup"):
        assert "RetentionInDays" in group.properties
        assert "KmsKeyId" in group.properties or group.stack == "edge"


def test_the_audit_archive_is_locked(staging: Assembly, production: Assembly) -> None:
    for assembly, mode in ((staging, "GOVERNANCE"), (production, "COMPLIANCE")):
        [archive] = [
            bucket.properties
            for bucket in assembly.resources("AWS::S3::Bucket")
            if "ObjectLockConfiguration" in bucket.properties
        ]
        assert archive["ObjectLockEnabled"] is True
        retention = archive["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        assert retention["Mode"] == mode
        assert retention["Days"] >= 7 * 365


def test_data_keys_rotate_and_signing_keys_come_in_generations(assembly: Assembly) -> None:
    signing = []
    for key in assembly.resources("AWS::KMS::Key"):
        if key.properties.get("KeyUsage") == "SIGN_VERIFY":
            assert key.properties["KeySpec"] == "ECC_NIST_P256"
            signing.append(key)
        else:
            assert key.properties["EnableKeyRotation"] is True
    aliases = {alias.properties["AliasName"] for alias in assembly.resources("AWS::KMS::Alias")}
    assert len(signing) == 2
    for name in ("tokens-1", "tokens-2", "fields", "kernel", *CONTEXTS):
        assert f"alias/mailroom-{assembly.stage}-{name}" in aliases


@pytest.mark.parametrize(
    ("generation", "keys"), [(1, [1, 2]), (2, [1, 2, 3]), (3, [1, 2, 3, 4]), (4, [2, 3, 4, 5])]
)
def test_a_rotation_keeps_every_key_that_a_function_may_still_ask_for(
    generation: int, keys: list[int]
) -> None:
    stage = Stage(name="x", region="us-east-1", token_key_generation=generation)
    assert list(stage.token_key_generations) == keys
    before = Stage(name="x", region="us-east-1", token_key_generation=max(1, generation - 1))
    asked = {
        number
        for number in range(before.token_key_generation - 1, before.token_key_generation + 2)
        if number
    }
    assert asked <= set(stage.token_key_generations)


def test_no_template_holds_a_secret(assembly: Assembly) -> None:
    for secret in assembly.resources("AWS::SecretsManager::Secret"):
        given = secret.properties.get("SecretString")
        assert given is None or json.loads(given) == {} or secret.stack == "sandbox"
    text = "".join(json.dumps(template) for template in assembly.templates.values())
    for mark in ("sk_live_", "whsec_", "AKIA"):
        assert mark not in text


def test_stages_have_no_unknown_settings() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    for name in context["stages"]:
        assert Stage.of(context | {"stage": name}).name == name
    context["stages"]["staging"]["colour"] = "blue"
    with pytest.raises(ValueError, match="colour"):
        Stage.of(context)
    with pytest.raises(ValueError, match="no stage 'moon'"):
        Stage.of(context | {"stage": "moon"})
