"""Typed settings from the environment, and the deterministic names of every resource."""

import os
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Settings(BaseModel):
    """Base of each context's settings class; a field `public_url` is read from `PUBLIC_URL`."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MisconfiguredError(RuntimeError):
    """The environment lacks a setting or holds a wrong one; the message names each."""


class KernelSettings(Settings):
    """What the kernel itself reads."""

    mailroom_stage: str = "local"
    mailroom_account_id: str = "000000000000"
    aws_region: str = "us-east-1"
    mailroom_function: str = "unnamed"
    mailroom_token_key_generation: int = Field(default=1, ge=1)
    mailroom_token_issuer: str = "https://mailroom.local"  # noqa: S105 - an address
    mailroom_public_calls_per_minute: int = Field(default=30, ge=1)
    mailroom_trusted_proxies: int = Field(default=0, ge=0, le=3)


SettingsT = TypeVar("SettingsT", bound=Settings)


@cache
def load(settings_class: type[SettingsT]) -> SettingsT:
    """Read and validate a settings class once per worker; raises MisconfiguredError."""
    names = settings_class.model_fields
    found = {name: os.environ[name.upper()] for name in names if name.upper() in os.environ}
    try:
        return settings_class.model_validate(found)
    except ValidationError as error:
        wrong = ", ".join(
            f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise MisconfiguredError(f"{settings_class.__name__} is misconfigured: {wrong}") from error


def resource_name(name: str) -> str:
    """Return the physical name of a table, queue, bus or function, as the CDK app gives it."""
    return f"mailroom-{os.environ.get('MAILROOM_STAGE', 'local')}-{name}"


def resource_arn(service: str, resource: str) -> str:
    """Return the ARN of a resource of this account and region."""
    settings = load(KernelSettings)
    return f"arn:aws:{service}:{settings.aws_region}:{settings.mailroom_account_id}:{resource}"
