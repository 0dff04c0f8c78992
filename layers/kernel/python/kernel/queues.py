"""Messages to the platform's own queues, whose consumers are `kernel.triggers.consumer`."""

from typing import Final

from pydantic import BaseModel

from kernel import aws
from kernel.settings import KernelSettings, load, resource_name

MAXIMUM_DELAY_SECONDS: Final = 900


def send(queue: str, message: BaseModel, *, delay_seconds: int = 0) -> None:
    """Put a message into a queue; a delay of up to 15 minutes is the way to wait that long."""
    if not 0 <= delay_seconds <= MAXIMUM_DELAY_SECONDS:
        raise ValueError(f"A message waits at most {MAXIMUM_DELAY_SECONDS} seconds; arm a timer")
    aws.client("sqs").send_message(
        QueueUrl=_url(queue), MessageBody=message.model_dump_json(), DelaySeconds=delay_seconds
    )


def _url(queue: str) -> str:
    """Return a queue's URL, which its name decides, so that nobody has to look it up."""
    settings = load(KernelSettings)
    host = f"https://sqs.{settings.aws_region}.amazonaws.com"
    return f"{host}/{settings.mailroom_account_id}/{resource_name(queue)}"
