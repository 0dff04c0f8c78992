"""Logger, tracer and metrics, configured in one place; personal data is masked in every line."""

import os
import re
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_MASKS: Final = (
    (re.compile(r"\b([\w.+-])[\w.+-]*@([\w-])[\w-]*(?:\.[\w-]+)+"), r"\1***@\2***"),
    (re.compile(r"\b((?:sk|pk|rk)_(?:live|test)_|whsec_|rt_|lnk_)[\w-]{4,}"), r"\1***"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "eyJ***"),
    (re.compile(r"\b(?:\d[ -]?){12,18}\d\b"), "***"),
    (re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), "***-**-****"),
)


def mask(text: str) -> str:
    """Return `text` without addresses, secrets, tokens, card and social-security numbers."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


class _MaskingFormatter(LambdaPowertoolsFormatter):
    """Powertools' JSON lines, masked after serialisation so that no field can escape."""

    def serialize(self, log: Any) -> str:
        return mask(super().serialize(log))


logger: Logger = Logger(
    service=os.environ.get("POWERTOOLS_SERVICE_NAME", "mailroom"),
    logger_formatter=_MaskingFormatter(),
    log_uncaught_exceptions=False,
)
"""The one logger; `tenant_id` and `request_id` are added by the triggers."""
