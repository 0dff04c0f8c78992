"""Worker of test clocks: move a clock towards its target, timer by timer."""

from kernel import test_clock
from kernel.test_clock import AdvanceMessage
from kernel.triggers import consumer


@consumer(test_clock.QUEUE, batch_size=1)
def handler(message: AdvanceMessage) -> None:
    test_clock.work_on(message)
