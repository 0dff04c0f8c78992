"""How AWS runs a Python function, where MiniStack 1.5.33 runs it otherwise."""

import hashlib
import importlib.util
import os
import queue
import tempfile
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from local.errors import LocalError

END_OF_INVOCATION = "\x1emailroom-end-of-invocation"
RAISED = "mailroom.raised"
DRAIN_SECONDS = 0.25

# What Lambda's Python runtime has beside the standard library.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")

_RAISES = """\
        except Exception as e:
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), \
"trace": traceback.format_exc()}) + "\\n")
        _real_stdout.flush()
"""
_REPORTS = f"""\
        except Exception as e:
            _ms_raised = {{
                "errorMessage": str(e),
                "errorType": type(e).__name__,
                "stackTrace": traceback.format_exception(type(e), e, e.__traceback__.tb_next),
            }}
            _ms_answer = {{"status": "ok", "result": {{"{RAISED}": _ms_raised}}}}
            _real_stdout.write(json.dumps(_ms_answer) + "\\n")
        sys.stderr.write({END_OF_INVOCATION!r} + "\\n")
        sys.stderr.flush()
        _real_stdout.flush()
"""
_FAILS_TO_START = '{"status": "error", "error": str(e)}'
_FAILS_TO_START_WITH_TRACE = '{"status": "error", "error": traceback.format_exc()}'
_SEES_EVERYTHING = "    sys.path.insert(0, code_dir)\n"
_SEES_THE_RUNTIME = """\
    sys.path[:] = [
        p for p in sys.path if os.path.basename(p) not in ("site-packages", "dist-packages")
    ]
    sys.path.append(os.environ["MAILROOM_RUNTIME_PACKAGES"])
    sys.path.insert(0, code_dir)
"""


def mend_worker(script: str) -> str:
    """Mend the program that runs a Python function.

    An exception that a handler raises is reported under its class name, as AWS does and as Step
    Functions' Retry and Catch need, and leaves the worker alive. Log lines end with a mark, so
    nobody waits to see whether more will come. An import that fails shows its traceback. Only
    the layers and Lambda's own packages can be imported, not what the project develops with.
    """
    for old, new in (
        (_RAISES, _REPORTS),
        (_FAILS_TO_START, _FAILS_TO_START_WITH_TRACE),
        (_SEES_EVERYTHING, _SEES_THE_RUNTIME),
    ):
        if script.count(old) != 1:
            raise LocalError(f"MiniStack's Python worker no longer holds:\n{old}")
        script = script.replace(old, new)
    return script


def link_runtime_packages() -> Path:
    """Gather links to the packages that Lambda's runtime brings."""
    folder = Path(tempfile.mkdtemp(prefix="runtime-"))
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise LocalError(f"{name} is not installed: run `make up`")
        origin = Path(spec.origin)
        target = origin.parent if origin.name == "__init__.py" else origin
        (folder / target.name).symlink_to(target)
    return folder


def drain_to_mark(original: Callable[..., str]) -> Callable[..., str]:
    """Collect a Python invocation's log up to its mark, where MiniStack polls for 50 ms."""

    def drain(worker: Any, *args: float, **waits: float) -> str:
        if not str(worker.config.get("Runtime", "")).startswith("python"):
            return original(worker, *args, **waits)
        lines: list[str] = []
        deadline = time.monotonic() + DRAIN_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                text, mark, _ = worker._stderr_queue.get(timeout=left).partition(END_OF_INVOCATION)
            except queue.Empty:
                break
            if text or not mark:
                lines.append(text)
            if mark:
                break
        return "\n".join(lines)

    return drain


def report_raised(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn what the mended worker says of an exception into what Lambda answers."""

    def execute(function: Any, event: Any, request_id: str) -> dict[str, Any]:
        answer = original(function, event, request_id)
        body = answer.get("body")
        if not isinstance(body, dict) or RAISED not in body:
            return answer
        raised = body[RAISED]
        log = "\n".join(
            filter(None, [answer.get("log"), "[ERROR] " + "".join(raised["stackTrace"])])
        )
        return {"body": {**raised, "requestId": request_id}, "error": True, "log": log}

    return execute


def share_layers(
    original: Callable[[Any], None], read_layer: Callable[[Any], bytes | None]
) -> Callable[[Any], None]:
    """Unpack a layer once, where MiniStack unpacks every layer again for every worker."""
    root = Path(tempfile.mkdtemp(prefix="layers-"))

    def unpacked(reference: Any) -> str | None:
        content = read_layer(reference)
        if not content:
            return None
        folder = root / hashlib.sha256(content).hexdigest()[:32]
        if not folder.exists():
            fresh = Path(tempfile.mkdtemp(dir=root))
            with zipfile.ZipFile(BytesIO(content)) as archive:
                archive.extractall(fresh)
            try:
                fresh.rename(folder)
            except OSError:  # another worker was first
                if not folder.exists():
                    raise
        return str(folder)

    def spawn(worker: Any) -> None:
        config = worker.config
        folders = [folder for layer in config.get("Layers", []) if (folder := unpacked(layer))]
        variables = config.get("Environment", {}).get("Variables", {})
        worker.config = {
            **config,
            "Layers": [],
            "Environment": {
                "Variables": {**variables, "_LAMBDA_LAYERS_DIRS": os.pathsep.join(folders)}
            },
        }
        try:
            original(worker)
        finally:
            worker.config = config

    return spawn


def reap_idle_workers(runtime: Any, ttl: float | None = None) -> int:
    """End every worker that idles too long; MiniStack keeps one of each function for ever."""
    limit = runtime._LOCAL_WORKER_TTL if ttl is None else ttl
    now = time.time()
    idle = []
    with runtime._lock:
        for key, workers in list(runtime._workers.items()):
            gone = [w for w in workers if not w.in_use and now - w.last_used >= limit]
            idle += gone
            kept = [w for w in workers if w not in gone]
            if kept:
                runtime._workers[key] = kept
            else:
                del runtime._workers[key]
    runtime.kill_workers(idle)
    return len(idle)
