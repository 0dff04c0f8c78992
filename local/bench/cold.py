"""Cold start: a fresh process that imports a shipped function, against one that has only boto3."""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import boto3

from local.bench.figures import Figure

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 15

_BASELINE = "import boto3; boto3.client('dynamodb')"
_ENDPOINT = """
import update_tenant
from kernel import aws
aws.client('dynamodb', single_attempt=True)
"""


def measure(layers: list[Path]) -> list[Figure]:
    """Return the cold import of PATCH /v1/tenant, with its first DynamoDB client.

    Both processes run isolated (`-I -S`) on the same layers, whose botocore is trimmed; only the
    baseline also sees boto3, which functions do without. Runs alternate, so that drift of the
    machine touches both.
    """
    boto3_only = _only_boto3()
    function_paths = [*layers, ROOT / "functions" / "identity"]
    endpoint, baseline = [], []
    for _ in range(ROUNDS):
        baseline.append(_seconds(_BASELINE, [*layers, *boto3_only]))
        endpoint.append(_seconds(_ENDPOINT, function_paths))
    ratio = statistics.median(endpoint) / statistics.median(baseline)
    return [
        Figure(
            name="cold_import_crud_endpoint",
            value=round(ratio, 3),
            unit="ratio of median processor times",
            baseline="a bare boto3 DynamoDB client in the same layers",
            target=1.3,
        )
    ]


def _only_boto3() -> list[Path]:
    """Return a folder from which only boto3 and s3transfer can be imported."""
    site = Path(boto3.__file__).resolve().parents[1]
    folder = ROOT / ".build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for package in ("boto3", "s3transfer"):
        link = folder / package
        if not link.is_symlink():
            link.symlink_to(site / package)
    return [folder]


def _seconds(code: str, paths: list[Path]) -> float:
    """Return the processor time of a fresh interpreter that sees nothing but `paths`."""
    prelude = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",  # nosec B105 - no account's
        "POWERTOOLS_TRACE_DISABLED": "true",
        "MAILROOM_FUNCTION": "identity/update_tenant",
        "AWS_LAMBDA_FUNCTION_NAME": "mailroom-local-identity-update_tenant",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-S", "-B", "-c", prelude + code], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
