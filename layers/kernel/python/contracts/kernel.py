"""What flows of every context share: the step that waits."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class WaitUntil(BaseModel):
    """A wait of a flow: until `due_at` of the tenant's time, or a signal to the subject."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_token: str
    execution: str = Field(description="`$states.context.Execution.Id`")
    tenant_id: str
    subject: str
    name: str
    due_at: AwareDatetime


class RepublishEvents(BaseModel):
    """Which events to send to the bus again; times are those of the real clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    since: AwareDatetime
    until: AwareDatetime
    after: str | None = Field(default=None, description="`after` of the result before.")


class EventsRepublished(BaseModel):
    """How many events were sent, and after which to go on (null when all were)."""

    published: int
    after: str | None
