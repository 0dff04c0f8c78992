from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel

from kernel import flows, work
from kernel.principals import System
from kernel.settings import resource_arn, resource_name
from kernel.tables import ClockRecord
from kernel.transactions import Transaction
from tests.callers import make_tenant
from tests.doubles import StepFunctions

pytestmark = pytest.mark.usefixtures("tables")

MACHINE = "billing-trial_conversion"


class Trial(BaseModel):
    ends_at: datetime


TRIAL = Trial(ends_at=datetime(2026, 11, 27, tzinfo=UTC))


def busy(tenant_id: str) -> set[str]:
    record = ClockRecord.find(tenant_id)
    return set(record.busy or ()) if record else set()


def test_starts_an_execution_with_the_payload(step_functions: StepFunctions) -> None:
    flows.start(make_tenant("live"), MACHINE, "sub_1", TRIAL)

    assert step_functions.started == {f"{MACHINE}/sub_1": {"ends_at": "2026-11-27T00:00:00Z"}}


def test_starting_again_is_harmless(step_functions: StepFunctions) -> None:
    tenant_id = make_tenant("live")
    flows.start(tenant_id, MACHINE, "sub_1", TRIAL)
    step_functions.started.clear()
    flows.start(tenant_id, MACHINE, "sub_1", TRIAL)

    assert step_functions.started == {}


def test_a_start_that_crashed_before_the_execution_is_made_good(
    step_functions: StepFunctions,
) -> None:
    tenant_id = make_tenant("live")
    step_functions.faults = [ClientError({"Error": {"Code": "Throttling"}}, "StartExecution")]
    with pytest.raises(ClientError):
        flows.start(tenant_id, MACHINE, "sub_1", TRIAL)
    flows.start(tenant_id, MACHINE, "sub_1", TRIAL)

    assert list(step_functions.started) == [f"{MACHINE}/sub_1"]


def test_an_execution_that_exists_counts_as_started(step_functions: StepFunctions) -> None:
    step_functions.started[f"{MACHINE}/sub_1"] = {"another": "input"}
    flows.start(make_tenant("live"), MACHINE, "sub_1", TRIAL)

    assert step_functions.started[f"{MACHINE}/sub_1"] == {"another": "input"}


def test_a_second_start_does_not_make_a_waiting_flow_busy_again(
    step_functions: StepFunctions,
) -> None:
    tenant_id = make_tenant("test")
    flows.start(tenant_id, MACHINE, "sub_1", TRIAL)
    with Transaction(System(name="kernel/wait_until"), tenant_id) as transaction:
        transaction.idle(work.of_flow(MACHINE, "sub_1"))
    flows.start(tenant_id, MACHINE, "sub_1", TRIAL)

    assert busy(tenant_id) == set()


@pytest.mark.parametrize("name", ["", "with space", "with#hash", "x" * 81])
def test_refuses_names_that_step_functions_does_not_take(name: str) -> None:
    with pytest.raises(ValueError, match="execution name"):
        flows.start(make_tenant("live"), MACHINE, name, TRIAL)


def test_an_execution_that_does_not_exist_has_no_status(step_functions: StepFunctions) -> None:
    assert flows.status(MACHINE, "unknown") is None
    step_functions.statuses[f"{MACHINE}/known"] = "SUCCEEDED"
    assert flows.status(MACHINE, "known") == "SUCCEEDED"


def test_work_has_the_same_name_for_who_starts_and_who_waits() -> None:
    arn = resource_arn("states", f"execution:{resource_name(MACHINE)}:sub_1")
    assert work.of_execution(arn) == work.of_flow(MACHINE, "sub_1")


@pytest.mark.parametrize("subject", ["sub_1", "a subject/with *signs*", "x" * 90])
def test_the_name_of_a_wake_is_stable_valid_and_its_own(subject: str) -> None:
    due = datetime(2026, 11, 20, 11, 15, tzinfo=UTC)
    name = flows.name_of_wake(subject, "renewal", due)

    assert name == flows.name_of_wake(subject, "renewal", due)
    assert name != flows.name_of_wake(subject, "renewal", due.replace(hour=12))
    assert name != flows.name_of_wake(f"{subject}!", "renewal", due)
    assert flows._NAME.fullmatch(name)
