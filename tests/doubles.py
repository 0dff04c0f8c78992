"""Stand-ins for what moto lacks, and queues that tests read."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.utils import ECDSAPrivateKey

from contracts.events import Event
from kernel import aws
from kernel.settings import resource_name
from kernel.tables import Table

ACCOUNT: Final = "123456789012"
"""moto's own account, so that the ARNs and queue addresses of the kernel lead somewhere."""


class Queue:
    """An SQS queue that a test reads."""

    def __init__(self, name: str) -> None:
        self.url = str(aws.client("sqs").create_queue(QueueName=name)["QueueUrl"])

    def take(self) -> list[dict[str, Any]]:
        """Return the bodies of the messages since the last call."""
        found: list[dict[str, Any]] = []
        sqs = aws.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found


@dataclass
class EventBus:
    """The event bus, within the limits of PutEvents; it can be told to refuse."""

    events: list[dict[str, Any]] = field(default_factory=list)
    refuses: bool = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take all entries, or all but the last."""
        assert 1 <= len(Entries) <= 10
        assert sum(len(entry["Detail"].encode()) for entry in Entries) <= 256 * 1024
        taken = Entries[:-1] if self.refuses else Entries
        for entry in taken:
            assert entry["EventBusName"] == resource_name("events")
            self.events.append(
                {
                    "source": entry["Source"],
                    "detail-type": entry["DetailType"],
                    "resources": entry["Resources"],
                    "detail": json.loads(entry["Detail"]),
                }
            )
        answers = [{"EventId": "1"} for _ in taken]
        if self.refuses:
            return {
                "FailedEntryCount": 1,
                "Entries": [*answers, {"ErrorCode": "ThrottlingException"}],
            }
        return {"FailedEntryCount": 0, "Entries": answers}

    def take(self) -> list[dict[str, Any]]:
        """Return the events since the last call, as subscribers' queues get them."""
        taken, self.events = self.events, []
        return taken


@dataclass
class StepFunctions:
    """Step Functions as far as the kernel uses it: task tokens, and executions by name."""

    woken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    on_wake: Callable[[str], None] | None = None

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        self._fail_if_told()
        if any(token == taskToken for token, _ in self.woken):
            raise ClientError({"Error": {"Code": "TaskTimedOut"}}, "SendTaskSuccess")
        self.woken.append((taskToken, json.loads(output)))
        if self.on_wake is not None:
            self.on_wake(taskToken)

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803
        self._fail_if_told()
        key = f"{stateMachineArn.rpartition(':')[2].removeprefix(resource_name(''))}/{name}"
        if key in self.started:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")
        self.started[key] = json.loads(input)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        machine, name = executionArn.split(":")[-2:]
        key = f"{machine.removeprefix(resource_name(''))}/{name}"
        if key not in self.started and key not in self.statuses:
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution")
        return {"status": self.statuses.get(key, "RUNNING")}

    def _fail_if_told(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


def make_signing_key(generation: int) -> None:
    kms = aws.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    alias = f"alias/{resource_name(f'tokens-{generation}')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])


def sign_digest(key: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    """Sign as KMS does with the message type DIGEST, where moto hashes once more."""
    signature: bytes = key.private_key.sign(message, ec.ECDSA(Prehashed(hashes.SHA256())))
    return signature


def sqs_event(*bodies: Any, group: str | None = None) -> dict[str, Any]:
    """Return the event of a batch of messages; bodies that are no text are sent as JSON."""
    attributes = {"ApproximateReceiveCount": "1"} | ({"MessageGroupId": group} if group else {})
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": attributes,
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def bus_event(event: Event) -> dict[str, Any]:
    """Return an event as a subscriber's queue gets it from the bus."""
    return {
        "version": "0",
        "source": event.source,
        "detail-type": event.type,
        "account": ACCOUNT,
        "detail": json.loads(event.model_dump_json()),
    }


def stream_event(*records: Table, name: str = "INSERT") -> dict[str, Any]:
    """Return the event of a table's stream in which these records appear."""
    return {"Records": [_change(record, name) for record in records]}


def _change(record: Table, name: str) -> dict[str, Any]:
    image = record.serialize()
    keys = {"pk": image["pk"], "sk": image["sk"]}
    return {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": image}}
