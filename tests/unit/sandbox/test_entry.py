"""The Lambda: what it answers, which routes it wants, where it refuses to run."""

import json
import subprocess
import sys

from chalice.test import Client

from sandbox import entry, storage
from sandbox.storage import SandboxTable

REST_EVENT = {
    "resource": "/v1/customers",
    "path": "/v1/customers",
    "httpMethod": "POST",
    "headers": {
        "Authorization": "Bearer sk_test_mailroom",
        "Content-Type": "application/x-www-form-urlencoded",
    },
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {
        "httpMethod": "POST",
        "resourcePath": "/v1/customers",
        "path": "/local/v1/customers",
    },
    "body": "name=Ada",
    "isBase64Encoded": False,
}


def test_answers_rest_api_events():
    answer = entry.handler(REST_EVENT, None)
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"])["name"] == "Ada"


def test_takes_a_body_that_the_gateway_encoded():
    event = {**REST_EVENT, "body": "bmFtZT1BZGE=", "isBase64Encoded": True}
    assert json.loads(entry.handler(event, None)["body"])["name"] == "Ada"


def test_runs_under_the_chalice_test_client():
    with Client(entry.api) as client:
        answer = client.http.post(
            "/v1/customers",
            headers={
                "Authorization": "Bearer sk_test_mailroom",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=b"name=Ada",
        )
        assert answer.json_body["name"] == "Ada"


def test_routes():
    routes = dict(entry.routes())
    assert routes["/v1/customers/{customer_id}"] == ["DELETE", "GET", "POST"]
    assert routes["/_control/log"] == ["GET"]
    parameters: dict[tuple[str, ...], str] = {}
    for path in routes:
        # API Gateway allows one name for the parameter at a place in the tree.
        for position, part in enumerate(parts := path.split("/")):
            if part.startswith("{"):
                place = tuple(parts[:position])
                assert parameters.setdefault(place, part) == part


def test_the_table():
    assert list(storage.ALL) == [SandboxTable]
    assert SandboxTable.Meta.table_name == "mailroom-local-sandbox"
    assert SandboxTable._hash_keyname == "pk"


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "AWS_DEFAULT_REGION": "us-east-1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_has_no_place_in_production():
    failed = run_python("import sandbox.entry", MAILROOM_STAGE="production")
    assert "no place in production" in failed.stderr


def test_starts_light():
    """Neither the SDK nor `requests` is imported to answer a request."""
    code = "import sys, sandbox.entry; print(*{'stripe', 'requests', 'boto3'} & set(sys.modules))"
    assert run_python(code).stdout == "\n"
