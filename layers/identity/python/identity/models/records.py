"""Entries of the audit log, and sessions."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class AuditActor(BaseModel):
    """Who acted; of the platform's own staff and parts only that it was they."""

    type: str = Field(examples=["user"])
    id: str | None = Field(default=None, examples=["usr_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    ip: str | None = Field(default=None, examples=["203.0.113.7"])


class AuditEntry(BaseModel):
    """One action in a tenant."""

    id: str = Field(examples=["evt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    action: str = Field(examples=["identity.api_key_created"])
    subject: str = Field(examples=["key_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    actor: AuditActor
    changes: dict[str, Any] = Field(
        examples=[{"name": "Production"}],
        description="`changed` stands for a value that the log does not keep.",
    )
    occurred_at: datetime


class Session(BaseModel):
    """A sign-in that still lasts."""

    id: str = Field(examples=["ses_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    tenant_id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    current: bool = Field(description="Whether it is the one that asks.")
    ip: str = Field(examples=["203.0.113.7"])
    user_agent: str = Field(examples=["Mozilla/5.0"])
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime
