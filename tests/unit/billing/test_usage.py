from datetime import UTC, datetime

import pytest

from billing import usage
from billing.tables import SubscriptionRecord
from kernel import aws, gate
from kernel.gate import Access
from kernel.ids import new_id
from kernel.tables import GateTable
from tests.callers import make_caller, make_tenant
from tests.unit.billing.scenery import NOON, Calls, Company, World


def use(company: Company, calls: int, month: str = "2026-11") -> None:
    """Let the gate have admitted some calls of a month."""
    aws.client("dynamodb").update_item(
        TableName=GateTable.Meta.table_name,
        Key={"pk": {"S": company.tenant_id}, "sk": {"S": "GATE"}},
        UpdateExpression="SET #month = :calls",
        ExpressionAttributeNames={"#month": f"p{month}"},
        ExpressionAttributeValues={":calls": {"N": str(calls)}},
    )


def test_usage_is_what_the_gate_has_counted(world: World) -> None:
    company = world.company("api_starter")
    use(company, 2_500)
    use(company, 77, "2026-10")
    summary = usage.summarise(company.caller())

    assert (summary.month, summary.used, summary.included, summary.remaining) == (
        "2026-11",
        2_500,
        10_000,
        7_500,
    )
    assert (summary.overage, summary.overage_charge.amount) == (0, 0)
    assert summary.resets_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_the_month_is_the_test_clock_s(world: World) -> None:
    company = world.company("api_starter")
    use(company, 5, "2026-12")
    company.set_clock(NOON.replace(month=12))

    assert usage.summarise(company.caller()).used == 5


def test_overage_is_priced_by_the_call(world: World) -> None:
    company = world.company("api_starter")
    use(company, 15_000)
    summary = usage.summarise(company.caller())

    assert (summary.remaining, summary.overage, summary.overage_charge.amount) == (0, 5_000, 50_00)


def test_an_unlimited_plan_has_nothing_to_run_out_of(world: World) -> None:
    company = world.company("api_pro")
    use(company, 1_000_000)
    summary = usage.summarise(company.caller())

    assert (summary.included, summary.remaining, summary.overage) == (None, None, 0)


def test_of_several_plans_the_most_generous_counts(world: World) -> None:
    company = world.company("api_free")
    record = company.subscription
    other = SubscriptionRecord(
        company.tenant_id,
        new_id("sub"),
        product="inbox",
        plan="inbox_growth",
        status="active",
        started_at=record.started_at,
    )
    other.save()

    assert usage.summarise(company.caller()).included == 50_000


@pytest.mark.usefixtures("tables")
def test_before_the_subscription_exists_nothing_is_included() -> None:
    summary = usage.summarise(make_caller(make_tenant("live")))

    assert (summary.used, summary.included, summary.remaining) == (0, 0, 0)


def test_calls_that_the_gate_admits_are_counted(world: World) -> None:
    company = world.company("api_starter", mode="live")
    gate.admit_key(company.tenant_id, new_id("key"), "GET /v1/plans", Access.CLOSED)

    assert usage.summarise(company.caller()).used == 1


def test_calls(world: World, calls: Calls) -> None:
    caller = world.company("api_starter", mode="live").caller()
    calls.take()
    usage.summarise(caller)

    assert calls.take() == ["GetItem", "Query"]
