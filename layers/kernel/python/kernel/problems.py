"""Errors as RFC 9457 documents, with `code`, `errors[]` and `request_id`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from pydantic import BaseModel, Field

from kernel.errors import (
    FieldError,
    MailroomError,
    MalformedRequestError,
    NotFoundError,
    UnprocessableError,
    UnsupportedMediaTypeError,
)
from kernel.observability import logger

MEDIA_TYPE = "application/problem+json"


class ProblemField(BaseModel):
    """One wrong field of a request."""

    field: str = Field(examples=["body.email"])
    code: str = Field(examples=["value_error"])
    message: str = Field(examples=["value is not a valid email address"])


class Problem(BaseModel):
    """What every error looks like (RFC 9457)."""

    type: str = Field(examples=["/docs/problems#request.invalid"])
    title: str = Field(examples=["Some fields are not valid"])
    status: int = Field(examples=[422])
    code: str = Field(examples=["request.invalid"])
    detail: str = Field(examples=["Some fields are not valid"])
    errors: list[ProblemField] = Field(default_factory=list)
    request_id: str = Field(examples=["01jd3v8m5ke5c8qv0m5w6r3x2y"])


def render(error: Exception, request_id: str) -> Response[str]:
    """Return the response of an error; what is none of ours is logged and tells nothing."""
    known = translate(error)
    if known is None:
        logger.exception("Unhandled error", exc_info=error)
        known = MailroomError()
    document = problem_of(known, request_id)
    return Response(
        status_code=known.status,
        content_type=MEDIA_TYPE,
        body=json.dumps(document),
        headers=dict(known.headers),
    )


def problem_of(error: MailroomError, request_id: str) -> dict[str, Any]:
    """Return the problem document of an error."""
    code = error.problem_code
    return {
        "type": f"/docs/problems#{code}",
        "title": error.title,
        "status": error.status,
        "code": code,
        "detail": error.detail,
        "errors": [field._asdict() for field in error.errors],
        "request_id": request_id,
    }


def translate(error: Exception) -> MailroomError | None:  # noqa: PLR0911 - one return an error
    """Return the error as one of ours, or None when it is a fault of the system."""
    if isinstance(error, MailroomError):
        return error
    if isinstance(error, RequestUnsupportedContentType):
        return UnsupportedMediaTypeError()
    if isinstance(error, RequestValidationError):
        problems = list(error.errors())
        if any(problem["type"] == "json_invalid" for problem in problems):
            place = FieldError("body", "json_invalid", "The body is not valid JSON.")
            return MalformedRequestError(errors=[place])
        return UnprocessableError(errors=list(_fields(problems)))
    if isinstance(error, RecursionError):
        return MalformedRequestError("The body is nested too deeply.")
    if isinstance(error, ServiceError) and error.status_code == NotFoundError.status:
        return NotFoundError("There is no such route.")
    return None


def _fields(problems: Iterable[Mapping[str, Any]]) -> Iterable[FieldError]:
    """Yield wrong fields by place; the input itself is never repeated (it may be a secret)."""
    for problem in problems:
        place = ".".join(str(part) for part in problem["loc"])
        yield FieldError(place, str(problem["type"]), str(problem["msg"]))
