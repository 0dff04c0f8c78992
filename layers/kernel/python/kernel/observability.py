"""Logger, tracer and metrics, configured in one place; personal data is masked in every line."""

import os
import re
from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

LambdaHandler = Callable[[dict[str, Any], Any], Any]

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


def count(metric: str, value: int = 1) -> None:
    """Add to a CloudWatch metric of the service; tenants are in the logs, never a dimension."""
    service = os.environ.get("POWERTOOLS_SERVICE_NAME", "mailroom")
    with single_metric(
        name=metric,
        unit=MetricUnit.Count,
        value=value,
        namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Mailroom"),
        default_dimensions={"service": service},
    ):
        pass


def traced(handler: LambdaHandler) -> LambdaHandler:
    """Return the handler inside an X-Ray subsegment, with AWS calls traced; unchanged locally.

    The X-Ray SDK is imported only where its daemon listens. Responses and exceptions stay out of
    traces, as nothing masks them there.
    """
    if not _is_tracing():
        return handler
    from aws_lambda_powertools import Tracer

    tracer = Tracer(patch_modules=["botocore"])
    traced_handler: LambdaHandler = tracer.capture_lambda_handler(
        handler, capture_response=False, capture_error=False
    )
    return traced_handler


def _is_tracing() -> bool:
    """Tell whether this is a Lambda on AWS whose tracing is not switched off."""
    disabled = os.environ.get("POWERTOOLS_TRACE_DISABLED", "").lower() in {"1", "true", "y", "on"}
    local = "AWS_SAM_LOCAL" in os.environ or os.environ.get("MAILROOM_STAGE", "local") == "local"
    return "LAMBDA_TASK_ROOT" in os.environ and not disabled and not local
