"""GET /docs/problems: every error code, where the `type` of a problem document leads."""

from aws_lambda_powertools.event_handler import Response

from kernel import documents
from kernel.http import Visitor, endpoint


@endpoint("GET", "/docs/problems", limited=False)
def handler(_visitor: Visitor) -> Response[str]:
    return documents.problems(__file__)
