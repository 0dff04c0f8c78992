"""GET /v1/test-clock: read the test clock, to see whether an advance has arrived."""

from kernel import test_clock
from kernel.gate import Access
from kernel.http import Caller, endpoint
from kernel.test_clock import NoTestClockError, TestClock


@endpoint(
    "GET",
    "/v1/test-clock",
    permission="test_clock:read",
    access=Access.CURE,
    errors=(NoTestClockError,),
)
def handler(caller: Caller) -> TestClock:
    return test_clock.read(caller)
