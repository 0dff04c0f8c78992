"""What an event is: a published fact that other contexts and customers' webhooks may build on."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kernel.ids import new_id

PLATFORM = "PLATFORM"
"""The `tenant_id` of events that belong to no tenant (yet)."""

REGISTRY: dict[str, type["Event"]] = {}


class Event(BaseModel):
    """A fact in the past tense. Subclass with `type="identity.api_key_created"`.

    Events arrive at least once and in any order: `id` tells doubles, and `version` (of the
    aggregate named by `subject`) tells which of two is newer. Fields may be added, never changed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]

    id: str = Field(
        default_factory=lambda: new_id("evt"), examples=["evt_01jd3v8m5ke5c8qv0m5w6r3x2y"]
    )
    tenant_id: str = Field(examples=["tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"])
    occurred_at: datetime
    subject: str = Field(description="Id of the aggregate that the fact is about.")
    version: int = Field(default=1, description="The aggregate's version after the fact.")

    def __init_subclass__(cls, type: str, **options: Any) -> None:  # noqa: A002 - as in CloudEvents
        super().__init_subclass__(**options)
        cls.type = type

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        if REGISTRY.setdefault(cls.type, cls) is not cls:
            raise TypeError(f"Two events are called {cls.type}")

    @property
    def source(self) -> str:
        """Return the context that publishes the event."""
        return self.type.partition(".")[0]
