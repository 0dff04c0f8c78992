"""Deploys a stage to AWS: `python -m infra.deploy --stage staging [--yes]`.

Synthesises once, checks what the account must allow, shows the difference, asks, and deploys what
was shown. Nothing is changed before the answer.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.cdk.stage import Stage

ROOT: Final = Path(__file__).resolve().parents[1]

_LEAST_UNRESERVED: Final = 100
"""Lambda keeps this much concurrency out of every reservation."""
_HEADROOM: Final = 200
"""Concurrency that the functions without a reservation should find at least."""
_ROUTES_QUOTA: Final = "Routes per API (HTTP API)"
_DEFAULT_ROUTES: Final = 300

Client = Callable[..., Any]
Run = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Finding:
    """Something about the account; what blocks would make the deployment fail or do harm."""

    text: str
    blocks: bool


class Assembly:
    """The templates that will be deployed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resources = [
            resource
            for template in sorted(folder.glob("*.template.json"))
            for resource in json.loads(template.read_text()).get("Resources", {}).values()
        ]

    def count(self, kind: str) -> int:
        """Return how many resources of a type there are."""
        return sum(resource["Type"] == kind for resource in self.resources)

    @property
    def reserved_concurrency(self) -> int:
        """Return the concurrency that functions keep for themselves."""
        functions = [item for item in self.resources if item["Type"] == "AWS::Lambda::Function"]
        return sum(item["Properties"].get("ReservedConcurrentExecutions", 0) for item in functions)


def check(stage: Stage, assembly: Assembly, client: Client) -> Iterator[Finding]:
    """Yield what the account lacks; a check that cannot be made is a finding too."""
    for one in (_account, _bootstrap, _concurrency, _routes, _mail, _backups):
        try:
            yield from one(stage, assembly, client)
        except (BotoCoreError, ClientError) as error:
            yield Finding(f"{(one.__doc__ or '').partition('.')[0]}: {error}", blocks=True)


def _account(stage: Stage, _assembly: Assembly, client: Client) -> Iterator[Finding]:
    """The account is the stage's."""
    account = client("sts").get_caller_identity()["Account"]
    if stage.account and account != stage.account:
        yield Finding(
            f"{stage.name} is account {stage.account}, these are {account}'s credentials",
            blocks=True,
        )


def _bootstrap(stage: Stage, _assembly: Assembly, client: Client) -> Iterator[Finding]:
    """The CDK was bootstrapped in each region."""
    name = "/cdk-bootstrap/hnb659fds/version"
    for region in filter(None, (stage.region, stage.backup_region)):
        try:
            client("ssm", region_name=region).get_parameter(Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            yield Finding(f"run `cdk bootstrap aws://<account>/{region}` once", blocks=True)


def _concurrency(_stage: Stage, assembly: Assembly, client: Client) -> Iterator[Finding]:
    """Lambda runs enough at once (new accounts begin with 10)."""
    limit = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    reserved = assembly.reserved_concurrency
    if limit < reserved + _LEAST_UNRESERVED:
        yield Finding(
            f"Lambda runs {limit} at once; webhooks reserve {reserved}, and {_LEAST_UNRESERVED} "
            "must stay unreserved: ask for more in Service Quotas",
            blocks=True,
        )
    elif limit < reserved + _HEADROOM:
        yield Finding(
            f"Lambda runs {limit} at once, of which {reserved} are reserved", blocks=False
        )


def _routes(_stage: Stage, assembly: Assembly, client: Client) -> Iterator[Finding]:
    """The HTTP API has room for all routes."""
    routes = assembly.count("AWS::ApiGatewayV2::Route")
    pages = client("service-quotas").get_paginator("list_service_quotas")
    limit = next(
        (
            int(quota["Value"])
            for page in pages.paginate(ServiceCode="apigateway")
            for quota in page["Quotas"]
            if quota["QuotaName"] == _ROUTES_QUOTA
        ),
        _DEFAULT_ROUTES,
    )
    if routes > limit:
        yield Finding(f"the API has {routes} routes, the account allows {limit}", blocks=True)


def _mail(stage: Stage, _assembly: Assembly, client: Client) -> Iterator[Finding]:
    """SES may send to anybody."""
    account = client("sesv2").get_account()
    live = stage.name == "production"
    if not account["ProductionAccessEnabled"]:
        text = "SES is in its sandbox and sends to verified addresses only"
        yield Finding(text, blocks=live)
    if not account["SendingEnabled"]:
        yield Finding("SES has paused the account's sending", blocks=live)


def _backups(stage: Stage, _assembly: Assembly, client: Client) -> Iterator[Finding]:
    """AWS Backup may copy tables to the second region."""
    if stage.backup_region is None:
        return
    settings = client("backup").describe_region_settings()
    if not settings.get("ResourceTypeManagementPreference", {}).get("DynamoDB"):
        yield Finding(
            "AWS Backup does not manage DynamoDB fully, so it copies no tables to "
            f"{stage.backup_region}: switch it on in AWS Backup's settings",
            blocks=True,
        )


def deploy(stage: Stage, *, yes: bool, client: Client, run: Run, ask: Callable[[str], str]) -> int:
    """Synthesise, check, show, ask and deploy; return the exit code."""
    folder = ROOT / ".build" / f"cloud-{stage.name}"
    if code := run(
        ["cdk", "synth", "--quiet", "--context", f"stage={stage.name}", "--output", str(folder)]
    ):
        return code
    findings = list(check(stage, Assembly(folder), client))
    for finding in findings:
        print(f"{'✗' if finding.blocks else '!'} {finding.text}")
    if any(finding.blocks for finding in findings):
        print("Nothing was deployed.")
        return 1
    if code := run(["cdk", "diff", "--app", str(folder), "--all"]):
        return code
    if not yes and ask(f"Deploy this to {stage.name}? Type its name: ").strip() != stage.name:
        print("Nothing was deployed.")
        return 1
    return run(
        [
            "cdk",
            "deploy",
            "--app",
            str(folder),
            "--all",
            "--require-approval",
            "never",
            "--concurrency",
            "4",
        ]
    )


def _run(command: Sequence[str]) -> int:
    return subprocess.run(list(command), cwd=ROOT, check=False).returncode


def main() -> int:
    """Read the command line and deploy."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=__doc__)
    parser.add_argument("--stage", default="staging", choices=("staging", "production"))
    parser.add_argument("--yes", action="store_true", help="deploy without asking")
    arguments = parser.parse_args()
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    stage = Stage.of(context | {"stage": arguments.stage})
    session: Any = boto3.Session(region_name=stage.region)
    return deploy(stage, yes=arguments.yes, client=session.client, run=_run, ask=input)


if __name__ == "__main__":
    sys.exit(main())
