"""The pages behind mailed links. Showing one changes nothing: mail scanners fetch every link.

The secret stands in the URL's fragment, which browsers send to nobody; the page's button posts it.
"""

import secrets
from pathlib import Path
from string import Template
from typing import Final, Literal

from aws_lambda_powertools.event_handler import Response

_FOLDER: Final = Path(__file__).with_name("pages")
_TITLES: Final = {
    "verification": "Verify your address",
    "reset": "Choose a new password",
}


def show(name: Literal["verification", "reset"]) -> Response[str]:
    """Return a page whose own style and script are all that it may run."""
    nonce = secrets.token_urlsafe(16)
    form = (_FOLDER / f"{name}.html").read_text("utf-8").rstrip()
    page = Template((_FOLDER / "page.html").read_text("utf-8"))
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        body=page.substitute(title=_TITLES[name], nonce=nonce, form=form),
        headers={"Content-Security-Policy": policy},
    )
