"""GET /verify-email: the page behind the link in a verification mail; its button uses the link."""

from aws_lambda_powertools.event_handler import Response

from identity import link_pages
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("GET", "/verify-email", limited=False)
def handler(_visitor: Visitor) -> Response[str]:
    """Show the page."""
    return link_pages.show("verification")
