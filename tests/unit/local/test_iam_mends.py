import json
from typing import Any

import pytest

from local.iam_mends import leading_keys, supply_key_context, supply_leading_keys

KEY = {"pk": {"S": "tnt_1"}, "sk": {"S": "GATE"}}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"TableName": "gate", "Key": KEY}, ["tnt_1"]),
        ({"TableName": "gate", "Item": {**KEY, "nested": {"M": {"pk": {"S": "no"}}}}}, ["tnt_1"]),
        (
            {"RequestItems": {"gate": {"Keys": [KEY, {"pk": {"S": "tnt_2"}, "sk": {"S": "x"}}]}}},
            ["tnt_1", "tnt_2"],
        ),
        (
            {"RequestItems": {"gate": [{"PutRequest": {"Item": KEY}}]}},
            ["tnt_1"],
        ),
        (
            {"TransactItems": [{"Update": {"Key": KEY}}, {"Put": {"Item": {"pk": {"S": "b"}}}}]},
            ["tnt_1", "b"],
        ),
        (
            {
                "KeyConditionExpression": "(#0 = :0 AND begins_with (#1, :1))",
                "ExpressionAttributeNames": {"#0": "pk", "#1": "sk"},
                "ExpressionAttributeValues": {":0": {"S": "tnt_3"}, ":1": {"S": "evt_"}},
            },
            ["tnt_3"],
        ),
        (
            {
                "KeyConditionExpression": "pk=:p and sk>:s",
                "ExpressionAttributeValues": {":p": {"S": "tnt_4"}, ":s": {"S": "a"}},
            },
            ["tnt_4"],
        ),
        ({"TableName": "gate"}, []),
    ],
)
def test_leading_keys_are_the_partition_keys(request_: Any, expected: list[str]) -> None:
    assert leading_keys(json.dumps(request_).encode()) == expected


def test_a_body_that_is_no_json_has_no_keys() -> None:
    assert leading_keys(b"\x00") == []


def test_what_the_emulator_knows_is_kept() -> None:
    context = supply_leading_keys(lambda body: {"dynamodb:Select": "ALL_ATTRIBUTES"})
    assert context(json.dumps({"Key": KEY}).encode()) == {
        "dynamodb:Select": "ALL_ATTRIBUTES",
        "dynamodb:LeadingKeys": ["tnt_1"],
    }
    assert context(b"{}") == {"dynamodb:Select": "ALL_ATTRIBUTES"}


def test_key_context_names_alias_and_encryption_context() -> None:
    context = supply_key_context(lambda *_: {})
    body = json.dumps({"KeyId": "alias/fields", "EncryptionContext": {"tenant": "tnt_1"}}).encode()
    assert context("kms", "kms:Encrypt", body, {}) == {
        "kms:RequestAlias": "alias/fields",
        "kms:EncryptionContext:tenant": "tnt_1",
    }
    assert context("sqs", "sqs:SendMessage", body, {}) == {}
