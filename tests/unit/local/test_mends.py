import queue
import threading
import time

import pytest
from ministack.core import lambda_runtime

from local import lambda_mends, mends
from local.errors import LocalError


def test_the_pinned_version_is_accepted() -> None:
    mends.require_version()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mends, "version", lambda name: "1.5.34")
    with pytest.raises(LocalError, match=r"ministack 1\.5\.34 is installed, but .* 1\.5\.33"):
        mends.require_version()


def test_the_pinned_worker_is_mended_and_still_a_program() -> None:
    script = lambda_mends.mend_worker(lambda_runtime._PYTHON_WORKER_SCRIPT)
    compile(script, "_worker.py", "exec")
    assert lambda_mends.RAISED in script


def test_a_changed_worker_is_refused() -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT.replace("except Exception as e", "except Ex as e")
    with pytest.raises(LocalError, match="no longer holds"):
        lambda_mends.mend_worker(script)


def test_what_a_handler_raised_becomes_lambdas_answer() -> None:
    raised = {"errorMessage": "no", "errorType": "CardDeclined", "stackTrace": ["trace\n"]}
    execute = lambda_mends.report_raised(
        lambda *_: {"body": {lambda_mends.RAISED: raised}, "log": "line"}
    )
    assert execute({}, {}, "r-1") == {
        "body": {**raised, "requestId": "r-1"},
        "error": True,
        "log": "line\n[ERROR] trace\n",
    }


def test_an_ordinary_answer_passes() -> None:
    answer = {"body": {"statusCode": 200}, "log": ""}
    assert lambda_mends.report_raised(lambda *_: answer)({}, {}, "r-1") is answer


class FakeWorker:
    def __init__(self, *, in_use: bool, last_used: float, runtime: str = "python3.13") -> None:
        self.in_use = in_use
        self.last_used = last_used
        self.config = {"Runtime": runtime}
        self._stderr_queue: queue.Queue[str] = queue.Queue()


class FakeRuntime:
    _LOCAL_WORKER_TTL = 60.0

    def __init__(self, workers: dict[str, list[FakeWorker]]) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self.killed: list[FakeWorker] = []

    def kill_workers(self, workers: list[FakeWorker]) -> None:
        self.killed += workers


def test_every_idle_worker_ends_but_none_that_works() -> None:
    idle = FakeWorker(in_use=False, last_used=time.time() - 61)
    busy = FakeWorker(in_use=True, last_used=time.time() - 61)
    fresh = FakeWorker(in_use=False, last_used=time.time())
    runtime = FakeRuntime({"one": [idle], "two": [busy, fresh]})
    assert lambda_mends.reap_idle_workers(runtime) == 1
    assert runtime.killed == [idle]
    assert runtime._workers == {"two": [busy, fresh]}


def test_log_ends_at_the_mark_and_the_rest_is_the_next_invocations() -> None:
    worker = FakeWorker(in_use=True, last_used=0)
    for line in ("a", "", "b" + lambda_mends.END_OF_INVOCATION, "late"):
        worker._stderr_queue.put(line)
    drain = lambda_mends.drain_to_mark(lambda *_: "original")
    assert drain(worker) == "a\n\nb"
    assert worker._stderr_queue.get_nowait() == "late"


def test_log_of_another_runtime_is_drained_as_before() -> None:
    worker = FakeWorker(in_use=True, last_used=0, runtime="nodejs22.x")
    assert lambda_mends.drain_to_mark(lambda *_: "original")(worker) == "original"
