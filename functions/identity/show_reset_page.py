"""GET /reset-password: the page behind the link in a mail about a forgotten password."""

from aws_lambda_powertools.event_handler import Response

from identity import link_pages
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("GET", "/reset-password", limited=False)
def handler(_visitor: Visitor) -> Response[str]:
    """Show the page."""
    return link_pages.show("reset")
