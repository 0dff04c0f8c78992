"""Words to mail: one file a mail (`templates/<name>.jinja`), rendered as text and as HTML.

Both renderings come from the same file, so they cannot say different things: its building blocks
(`paragraph`, `button`, `facts`) stand in `parts.txt` and `parts.html`, what is around them in
`layout.txt` and `layout.html`. An undefined value is an error; every value is escaped in HTML and
loses line breaks and control characters in both, so that none can write headers or paragraphs.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from kernel.settings import load
from notifications.catalog import Template
from notifications.settings import NotificationsSettings

Form = Literal["txt", "html"]

_COLUMNS: Final = 72
_SUBJECT_CHARACTERS: Final = 150
_VALUE_CHARACTERS: Final = 500
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
"""C0, C1, line and paragraph separators, and marks that turn the direction of writing."""


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered mail."""

    subject: str
    text: str
    html: str


def render(template: Template, values: Mapping[str, Any]) -> Content:
    """Return subject, text and HTML of a mail; raises jinja2.UndefinedError for a missing value."""
    settings = load(NotificationsSettings)
    context = {
        "product": settings.mail_product_name,
        "postal_address": settings.mail_postal_address,
        "reply_to": settings.mail_reply_to,
        **{name: _clean(value) for name, value in values.items()},
    }
    text = _environment("txt").get_template(f"{template.name}.jinja")
    html = _environment("html").get_template(f"{template.name}.jinja")
    subject = "".join(text.blocks["subject"](text.new_context(context)))
    return Content(
        subject=shorten(subject, _SUBJECT_CHARACTERS),
        text=_tidy(text.render(context)),
        html=html.render(context),
    )


def shorten(value: str, characters: int) -> str:
    """Return one line of at most so many characters, without control characters."""
    line = " ".join(_CONTROLS.sub(" ", value).split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


@cache
def _environment(form: Form) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html", "jinja") if form == "html" else ()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"flow": _flow}
    environment.globals["layout"] = f"layout.{form}"
    parts = environment.get_template(f"parts.{form}").module
    environment.globals |= {name: getattr(parts, name) for name in ("paragraph", "button", "facts")}
    return environment


def _clean(value: Any) -> Any:
    """Return a value that is text on one line, and not without end."""
    return shorten(value, _VALUE_CHARACTERS) if isinstance(value, str) else value


def _flow(text: str) -> str:
    """Return a paragraph of plain text, broken into lines; words stay whole."""
    return textwrap.fill(
        " ".join(text.split()), _COLUMNS, break_long_words=False, break_on_hyphens=False
    )


def _tidy(text: str) -> str:
    """Return a plain text with single empty lines and one line break at its end."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
