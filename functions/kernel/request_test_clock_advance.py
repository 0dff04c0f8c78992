"""POST /v1/test-clock/advance: send the test clock to a later time.

Everything that falls due on the way happens, in order. Read the clock until its status is `ready`.
"""

from kernel import test_clock
from kernel.gate import Access
from kernel.http import Caller, endpoint
from kernel.test_clock import (
    AdvanceTestClock,
    NoTestClockError,
    TestClock,
    TestClockAdvancingError,
)


@endpoint(
    "POST",
    "/v1/test-clock/advance",
    permission="test_clock:write",
    status=202,
    access=Access.CURE,
    errors=(NoTestClockError, TestClockAdvancingError),
)
def handler(caller: Caller, body: AdvanceTestClock) -> TestClock:
    return test_clock.advance(caller, body)
