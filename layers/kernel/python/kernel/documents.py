"""The API's description, and pages that show it without fetching anything from elsewhere."""

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi import swagger_ui

OPENAPI_FILE: Final = "openapi.json"

_CACHED: Final = {"Cache-Control": "public, max-age=300"}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:.3rem .8rem;text-align:left}tr:target{background:#ffe9a8}"
)
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def openapi(function_file: str) -> Response[str]:
    """Return the document that lies beside the function."""
    return Response(200, "application/json", _document(function_file), headers=dict(_CACHED))


def page(function_file: str) -> Response[str]:
    """Return Swagger UI with the document inside; its scripts are the only ones that may run."""
    html = _page(function_file)
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in _SCRIPT.findall(html))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = _CACHED | {"Content-Security-Policy": policy}
    return Response(200, "text/html; charset=utf-8", html, headers=dict(headers))


def problems(function_file: str) -> Response[str]:
    """Return a page of all error codes; a problem's `type` leads to its anchor."""
    examples = json.loads(_document(function_file))["components"]["examples"]
    rows = "".join(
        f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td>'
        f"<td>{example['value']['status']}</td><td>{escape(example['summary'])}</td></tr>"
        for code, example in sorted(examples.items())
    )
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mailroom: errors</title>'
        f"<style>{_STYLE}</style><h1>Errors</h1><table>"
        f"<tr><th>code</th><th>status</th><th>meaning</th></tr>{rows}</table></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    headers = _CACHED | {"Content-Security-Policy": policy}
    return Response(200, "text/html; charset=utf-8", html, headers=dict(headers))


@cache
def _document(function_file: str) -> str:
    return Path(function_file).with_name(OPENAPI_FILE).read_text()


@cache
def _page(function_file: str) -> str:
    folder = Path(swagger_ui.__file__).parent
    return swagger_ui.generate_swagger_html(
        spec=_document(function_file).replace("<", "\\u003c"),
        swagger_js=(folder / "swagger-ui-bundle.min.js").read_text(),
        swagger_css=(folder / "swagger-ui.min.css").read_text(),
        swagger_base_url="",
        oauth2_config=None,
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
