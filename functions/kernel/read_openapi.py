"""GET /openapi.json: the description of the whole API (OpenAPI 3.1)."""

from aws_lambda_powertools.event_handler import Response

from kernel import documents
from kernel.http import Visitor, endpoint


@endpoint("GET", "/openapi.json", limited=False)
def handler(_visitor: Visitor) -> Response[str]:
    return documents.openapi(__file__)
