"""GET /docs: the API's description as a page to read and try."""

from aws_lambda_powertools.event_handler import Response

from kernel import documents
from kernel.http import Visitor, endpoint


@endpoint("GET", "/docs", limited=False)
def handler(_visitor: Visitor) -> Response[str]:
    return documents.page(__file__)
