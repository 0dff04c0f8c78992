"""The mends bite: what MiniStack does otherwise than AWS, it does as AWS does here."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

from local.session import Clients
from local.settings import ACCOUNT_ID, REGION

RAISES = """
import os
class CardDeclined(Exception): ...
def handler(event, context):
    if event.get("decline"):
        raise CardDeclined("no\\nmoney")
    return os.getpid()
"""
CALLS = """
import boto3, botocore.exceptions
def handler(event, context):
    try:
        getattr(boto3.client(event["service"]), event["call"])(**event["arguments"])
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"
"""
Invoke = Callable[..., Any]
Make = Callable[..., str]


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def test_an_exception_is_reported_under_its_class_name(make_function: Make, invoke: Invoke) -> None:
    make_function("raises", RAISES)
    result = invoke("raises", {"decline": True})
    assert result.error == "Unhandled"
    assert result.answer["errorType"] == "CardDeclined"
    assert result.answer["errorMessage"] == "no\nmoney"
    assert result.answer["stackTrace"][-1] == "code_of_it.CardDeclined: no\nmoney\n"
    assert "raise CardDeclined" in result.log


def test_a_worker_outlives_an_exception(make_function: Make, invoke: Invoke) -> None:
    make_function("outlives", RAISES)
    before = invoke("outlives").answer
    invoke("outlives", {"decline": True})
    assert invoke("outlives").answer == before


def test_step_functions_catch_an_error_by_its_own_name(
    bare: Clients, make_function: Make, make_role: Make
) -> None:
    function = make_function("declines", RAISES)
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Charge the card",
        "States": {
            "Charge the card": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": function, "Payload": {"decline": True}},
                "Catch": [{"ErrorEquals": ["CardDeclined"], "Next": "Declined"}],
                "End": True,
            },
            "Declined": {"Type": "Pass", "Output": "declined", "End": True},
        },
    }
    flows = bare.client("stepfunctions")
    machine = flows.create_state_machine(
        name="charge", definition=json.dumps(definition), roleArn=make_role("charge-role")
    )["stateMachineArn"]
    execution = flows.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    deadline = time.monotonic() + 20
    while (seen := flows.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (seen["status"], json.loads(seen["output"])) == ("SUCCEEDED", "declined")


def test_every_invocation_gets_its_own_log_lines(make_function: Make, invoke: Invoke) -> None:
    make_function(
        "prints",
        "def handler(event, context):\n    print(*event.get('lines', []), sep='\\n', end='')",
    )
    for number in range(10):
        lines = [f"line {number}.{part}" for part in range(number)]
        log = invoke("prints", {"lines": lines}).log
        printed = [line for line in log.splitlines() if line.startswith("line ")]
        assert printed == lines
        assert "end-of-invocation" not in log


def test_a_function_sees_lambdas_packages_and_not_the_projects(
    make_function: Make, invoke: Invoke
) -> None:
    make_function("sees", "import boto3\ndef handler(event, context): return boto3.__version__")
    make_function("blind", "import pytest\ndef handler(event, context): return 1")
    assert invoke("sees").error is None
    failed = invoke("blind")
    assert failed.error == "Unhandled"
    assert "No module named 'pytest'" in failed.answer["errorMessage"]
    assert "import pytest" in failed.answer["errorMessage"], "the traceback shows the line"


def test_functions_share_an_unpacked_layer(
    bare: Clients, make_function: Make, invoke: Invoke
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/shared_code.py", "VALUE = 42")
    layer = bare.client("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": buffer.getvalue()}
    )["LayerVersionArn"]
    code = "import shared_code\ndef handler(event, context): return shared_code.__file__"
    make_function("one", code, layers=(layer,))
    make_function("other", code, layers=(layer,))
    assert invoke("one").answer == invoke("other").answer


def test_roles_are_enforced_down_to_the_partition_key(
    bare: Clients, make_function: Make, invoke: Invoke
) -> None:
    bare.client("dynamodb").create_table(
        TableName="keyed",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    make_function(
        "keyed",
        CALLS,
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            "Resource": arn("dynamodb", "table/keyed"),
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tnt_*"]}},
        },
    )

    def call(name: str, **arguments: Any) -> Any:
        event = {"service": "dynamodb", "call": name, "arguments": arguments}
        return invoke("keyed", event).answer

    def update(pk: str) -> dict[str, Any]:
        key = {"pk": {"S": pk}, "sk": {"S": "x"}}
        return {
            "Update": {
                "TableName": "keyed",
                "Key": key,
                "UpdateExpression": "SET a = :a",
                "ExpressionAttributeValues": {":a": {"S": "1"}},
            }
        }

    own, foreign = ({"pk": {"S": pk}, "sk": {"S": "x"}} for pk in ("tnt_1", "USER#1"))
    assert call("get_item", TableName="keyed", Key=own) == "ok"
    assert call("get_item", TableName="keyed", Key=foreign) == "AccessDeniedException"
    assert call("delete_item", TableName="keyed", Key=own) == "AccessDeniedException"
    assert call("transact_write_items", TransactItems=[update("tnt_1")]) == "ok"
    assert (
        call("transact_write_items", TransactItems=[update("tnt_1"), update("USER#1")])
        == "AccessDeniedException"
    )


def test_keys_behind_an_alias_are_guarded_by_alias_and_context(
    bare: Clients, make_function: Make, invoke: Invoke
) -> None:
    kms = bare.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/fields", TargetKeyId=key)
    make_function(
        "encrypts",
        CALLS,
        {
            "Effect": "Allow",
            "Action": "kms:Encrypt",
            "Resource": key,
            "Condition": {
                "StringEquals": {
                    "kms:RequestAlias": "alias/fields",
                    "kms:EncryptionContext:field": "ssn",
                }
            },
        },
    )

    def encrypt(key_id: str, context: dict[str, str]) -> Any:
        arguments = {"KeyId": key_id, "Plaintext": "x", "EncryptionContext": context}
        event = {"service": "kms", "call": "encrypt", "arguments": arguments}
        return invoke("encrypts", event).answer

    assert encrypt("alias/fields", {"field": "ssn"}) == "ok"
    assert encrypt("alias/fields", {"field": "name"}) == "AccessDeniedException"
    assert encrypt(key, {"field": "ssn"}) == "AccessDeniedException"


def test_policies_that_demand_tls_let_local_requests_pass(
    bare: Clients, make_function: Make, invoke: Invoke
) -> None:
    s3 = bare.client("s3")
    s3.create_bucket(Bucket="tls-only")
    everything = ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": everything,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps(policy))
    make_function(
        "stores",
        CALLS,
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::tls-only/tnt_1/*"},
    )

    def put(key: str) -> Any:
        arguments = {"Bucket": "tls-only", "Key": key, "Body": "x"}
        return invoke(
            "stores", {"service": "s3", "call": "put_object", "arguments": arguments}
        ).answer

    assert put("tnt_1/a") == "ok"
    assert put("tnt_2/a") == "AccessDenied"
