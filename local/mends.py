"""What MiniStack 1.5.33 does otherwise than AWS, mended in its own process before it starts.

Each mend replaces one named thing and refuses to start when that thing is no longer what it was,
so a new version cannot lose a mend in silence. tests/emulator/local proves that they bite.
"""

import functools
import os
from importlib.metadata import PackageNotFoundError, version

from local import iam_mends, lambda_mends
from local.errors import LocalError

MENDED_VERSION = "1.5.33"


def require_version() -> None:
    """Refuse every MiniStack but the one that was measured and mended."""
    try:
        found = version("ministack")
    except PackageNotFoundError:
        raise LocalError("ministack is not installed: run `make up`") from None
    if found != MENDED_VERSION:
        raise LocalError(
            f"ministack {found} is installed, but the mends in local/ are for {MENDED_VERSION}: "
            "pin that one in requirements-dev.txt, or prove the mends on the new one first"
        )


def apply() -> None:
    """Mend the emulator in this process; its environment must be set before."""
    require_version()
    from ministack import app
    from ministack.core import iam_actions, lambda_runtime
    from ministack.services import lambda_svc

    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_mends.mend_worker(
        lambda_runtime._PYTHON_WORKER_SCRIPT
    )
    os.environ["MAILROOM_RUNTIME_PACKAGES"] = str(lambda_mends.link_runtime_packages())
    worker = lambda_runtime.Worker
    worker._drain_stderr_bounded = lambda_mends.drain_to_mark(worker._drain_stderr_bounded)
    worker._spawn = lambda_mends.share_layers(worker._spawn, lambda_svc._resolve_layer_zip)
    lambda_svc._execute_function_warm = lambda_mends.report_raised(
        lambda_svc._execute_function_warm
    )
    lambda_svc.reap_idle_workers = functools.partial(lambda_mends.reap_idle_workers, lambda_runtime)
    iam_actions.dynamodb_service_context = iam_mends.supply_leading_keys(
        iam_actions.dynamodb_service_context
    )
    iam_actions.extract_resource_arn = iam_mends.resolve_sender(
        iam_mends.resolve_key_alias(iam_actions.extract_resource_arn)
    )
    iam_actions.request_tag_context = iam_mends.supply_key_context(iam_actions.request_tag_context)
    app.pin_request_origin = iam_mends.trust_transport(app.pin_request_origin)
