"""Step: a month of a subscription is charged, which is a fact."""

from pydantic import BaseModel

from contracts.events import Event
from kernel import clock
from kernel.principals import System
from kernel.transactions import Transaction
from kernel.triggers import step


class Month(BaseModel):
    tenant_id: str
    subject: str
    number: int


class Charged(BaseModel):
    number: int
    next_due_at: str


class MonthCharged(Event, type="parts.month_charged"):
    number: int


@step
def handler(month: Month) -> Charged:
    now = clock.tenant(month.tenant_id)
    if month.number:
        with Transaction(System(name="parts/charge_month"), month.tenant_id, at=now) as transaction:
            transaction.emit(
                MonthCharged(
                    tenant_id=month.tenant_id,
                    subject=month.subject,
                    occurred_at=now,
                    number=month.number,
                )
            )
    return Charged(number=month.number + 1, next_due_at=clock.next_month(now).isoformat())
