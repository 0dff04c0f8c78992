"""POST /v1/test-clock: give the caller's test tenant a clock of its own."""

from kernel import test_clock
from kernel.gate import Access
from kernel.http import Caller, endpoint
from kernel.test_clock import (
    CreateTestClock,
    NotATestTenantError,
    TestClock,
    TestClockExistsError,
)


@endpoint(
    "POST",
    "/v1/test-clock",
    permission="test_clock:write",
    status=201,
    access=Access.CURE,
    errors=(NotATestTenantError, TestClockExistsError),
)
def handler(caller: Caller, body: CreateTestClock) -> TestClock:
    return test_clock.create(caller, body.now)
