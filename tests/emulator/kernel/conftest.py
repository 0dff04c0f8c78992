"""A stage of its own on an emulator of its own: the kernel, and a few parts that only test it."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from infra.cdk import layers
from kernel import aws, settings
from kernel import tables as kernel_tables
from kernel.settings import resource_arn, resource_name
from local.emulator import Emulator
from local.settings import Home
from local.shared import free_port
from local.system import System

PARTS: Final = Path(__file__).parent / "parts"
FUNCTIONS: Final = Path(__file__).parents[3] / "functions" / "kernel"
SUBSCRIBERS: Final = {"parts.month_charged": ["parts/write_receipt"]}
ROLE: Final = "arn:aws:iam::000000000000:role/tests"
ENVIRONMENT: Final = {
    "MAILROOM_ACCOUNT_ID": "000000000000",
    "MAILROOM_SETTLE_SECONDS": "5",
    "POWERTOOLS_SERVICE_NAME": "tests",
}


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """An emulator without anything in it."""
    emulator = Emulator(free_port(), Home(tmp_path_factory.mktemp("bare")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAILROOM_IAM", "off")
        emulator.start()
    yield System.at(emulator.url)
    emulator.stop()


@pytest.fixture(scope="session")
def workshop(bare: System) -> "Workshop":
    """The kernel's asynchronous half, running."""
    workshop = Workshop(bare)
    workshop.build()
    return workshop


@pytest.fixture
def at_work(workshop: "Workshop", monkeypatch: pytest.MonkeyPatch) -> Iterator["Workshop"]:
    """The workshop, with this process' kernel pointed at it."""
    values = {
        "AWS_ENDPOINT_URL": workshop.system.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        **ENVIRONMENT,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    forget()
    yield workshop
    forget()


_CACHED_CLIENT = aws.client


def forget() -> None:
    _CACHED_CLIENT.cache_clear()
    settings.load.cache_clear()
    pending = [kernel_tables.Table]
    while pending:
        model = pending.pop()
        model._connection = None
        pending += model.__subclasses__()


@dataclass(frozen=True)
class Workshop:
    """What the tests need of the stage: its resources are named like any stage's."""

    system: System

    def build(self) -> None:
        """Make tables, bus, queue, functions and the state machine."""
        streams = {model.Meta.table_name: self._table(model) for model in kernel_tables.ALL}
        self.system.client("events").create_event_bus(Name=resource_name("events"))
        layer_arns = [self._layer(name) for name in ("dependencies-core", "kernel")]
        for name in ("publish_events", "advance_test_clock", "wait_until", "fire_due_timers"):
            self._function("kernel", name, (FUNCTIONS / f"{name}.py").read_text(), layer_arns)
        for name in ("charge_month", "write_receipt"):
            self._function("parts", name, (PARTS / f"{name}.py").read_text(), layer_arns)
        self.feed("kernel-publish_events", streams[resource_name("journal")])
        self.feed("kernel-advance_test_clock", self._queue("clock-advance"), BatchSize=1)
        self.feed("parts-write_receipt", self._subscribe("parts.month_charged", "write_receipt"))
        self._state_machine("subscription_year")

    def receipts(self, tenant_id: str) -> list[str]:
        """Return what the subscriber wrote for a tenant, in the order of subjects and months."""
        items = self.system.client("dynamodb").query(
            TableName=resource_name("journal"),
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"{tenant_id}#RECEIPTS"}},
            ConsistentRead=True,
        )["Items"]
        return [item["sk"]["S"] for item in items]

    def feed(self, function: str, source_arn: str, **options: Any) -> None:
        """Let a stream or a queue invoke a function."""
        if ":dynamodb:" in source_arn:
            options["StartingPosition"] = "TRIM_HORIZON"
        else:
            options["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
        self.system.client("lambda").create_event_source_mapping(
            FunctionName=resource_name(function), EventSourceArn=source_arn, **options
        )

    def invoke(self, function: str, event: dict[str, Any]) -> None:
        """Invoke a function, which must not fail."""
        answer = self.system.client("lambda").invoke(
            FunctionName=resource_name(function), Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def _table(self, model: Any) -> str:
        schema = model._get_schema()
        unique = {item["AttributeName"]: item for item in schema["attribute_definitions"]}
        indexes = [
            {
                "IndexName": index["index_name"],
                "KeySchema": sorted(index["key_schema"], key=lambda key: str(key["KeyType"])),
                "Projection": index["projection"],
            }
            for index in schema["global_secondary_indexes"]
        ]
        table = self.system.client("dynamodb").create_table(
            TableName=model.Meta.table_name,
            AttributeDefinitions=list(unique.values()),
            KeySchema=schema["key_schema"],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )
        return str(table["TableDescription"]["LatestStreamArn"])

    def _queue(self, name: str) -> str:
        self.system.client("sqs").create_queue(
            QueueName=resource_name(name), Attributes={"VisibilityTimeout": "120"}
        )
        return resource_arn("sqs", resource_name(name)).replace("123456789012", "000000000000")

    def _subscribe(self, event_type: str, function: str) -> str:
        arn = self._queue(f"parts-{function}")
        events, bus = self.system.client("events"), resource_name("events")
        pattern = json.dumps({"detail-type": [event_type]})
        events.put_rule(Name=function, EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule=function, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
        return arn

    def _layer(self, name: str) -> str:
        content = {"ZipFile": layers.build(name, "local").read_bytes()}
        version = self.system.client("lambda").publish_layer_version(
            LayerName=name, Content=content
        )
        return str(version["LayerVersionArn"])

    def _function(self, context: str, name: str, source: str, layer_arns: list[str]) -> None:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr(f"{name}.py", source)
            archive.writestr("subscribers.json", json.dumps(SUBSCRIBERS))
        self.system.client("lambda").create_function(
            FunctionName=resource_name(f"{context}-{name}"),
            Runtime="python3.13",
            Handler=f"{name}.handler",
            Role=ROLE,
            Code={"ZipFile": code.getvalue()},
            Layers=layer_arns,
            Timeout=60,
            Environment={"Variables": ENVIRONMENT | {"MAILROOM_FUNCTION": f"{context}/{name}"}},
        )

    def _state_machine(self, name: str) -> None:
        definition = (PARTS / f"{name}.asl.json").read_text()
        for context, function in (("parts", "charge_month"), ("kernel", "wait_until")):
            definition = definition.replace(
                f"${{{function}}}", resource_name(f"{context}-{function}")
            )
        self.system.client("stepfunctions").create_state_machine(
            name=resource_name(f"parts-{name}"), definition=definition, roleArn=ROLE
        )
