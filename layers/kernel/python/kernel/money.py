"""Money: an integer amount in minor units and its ISO 4217 currency."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["USD"])]


class CurrencyMismatchError(ValueError):
    """Two amounts of different currencies were added or compared."""


class Money(BaseModel):
    """An amount in minor units (cents for USD), e.g. `{"amount": 1250, "currency": "USD"}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(examples=[1250], strict=True)
    currency: Currency = "USD"

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency} cannot be added")
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __neg__(self) -> "Money":
        return Money(amount=-self.amount, currency=self.currency)
