"""Whether the system answers, for monitors."""

from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from kernel import aws
from kernel.errors import UnavailableError
from kernel.tables import GateTable


class Health(BaseModel):
    """The system answers."""

    status: Literal["ok"] = "ok"


def live() -> Health:
    """Tell that functions run."""
    return Health()


def ready() -> Health:
    """Tell that DynamoDB answers at once; raises UnavailableError. One DynamoDB call."""
    try:
        aws.client("dynamodb", single_attempt=True).get_item(
            TableName=GateTable.Meta.table_name,
            Key={"pk": {"S": "HEALTH"}, "sk": {"S": "HEALTH"}},
        )
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError("The database does not answer.") from error
    return Health()
