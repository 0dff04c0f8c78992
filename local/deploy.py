"""Deploy cdk.out to the running emulator: `python -m local.deploy`.

CloudFormation is called directly, which takes a second where the CDK's own tool takes thirteen.
A stack whose template is the one that it was deployed from is left alone; templates name code and
layers by content, so a changed function is a changed template.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from local import assembly, assets, fixups, settings
from local.assembly import Stack
from local.emulator import Emulator
from local.errors import LocalError, run_command
from local.session import Clients

STACK_SECONDS = 180.0
POLL_SECONDS = 0.05
TEMPLATE_TAG = "mailroom:template"
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
BROKEN = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
# Stacks whose functions must name the emulator's address take it by this parameter.
ENDPOINT_PARAMETER = "Emulator"
BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


@dataclass(frozen=True)
class Deployed:
    """What became of one stack."""

    stack: Stack
    action: str
    seconds: float


class Deployer:
    """Brings the stacks of an assembly up to date on one endpoint."""

    def __init__(self, clients: Clients, report: Callable[[str], None] = print) -> None:
        self._clients = clients
        self._report = report
        self._cloudformation = clients.client("cloudformation")

    def deploy(self, stacks: Sequence[Stack]) -> list[Deployed]:
        """Create or update every stack that changed, each as soon as those before it are done."""
        known = self._known()
        changed = [s for s in stacks if known.get(s.name, {}).get("template") != s.template_url]
        if not changed:
            return []
        self._prepare(changed, known)
        done = self._run(changed, known)
        fixups.apply(self._clients, [deployed.stack for deployed in done])
        return done

    def _prepare(self, stacks: Sequence[Stack], known: dict[str, dict[str, str]]) -> None:
        self._clients.client("ssm").put_parameter(
            Name=BOOTSTRAP_VERSION, Value="30", Type="String", Overwrite=True
        )
        assets.upload(self._clients.client("s3"), [a for stack in stacks for a in stack.assets])
        for stack in stacks:
            if known.get(stack.name, {}).get("status") in BROKEN:
                self._cloudformation.delete_stack(StackName=stack.name)
                self._wait(stack, ("DELETE_COMPLETE",))
                del known[stack.name]

    def _run(self, stacks: Sequence[Stack], known: dict[str, dict[str, str]]) -> list[Deployed]:
        waiting = {stack.artifact: stack for stack in stacks}
        running: dict[str, tuple[str, float]] = {}
        done: list[Deployed] = []
        while waiting:
            for artifact, stack in waiting.items():
                if artifact not in running and not stack.dependencies & waiting.keys():
                    began = time.monotonic()
                    running[artifact] = (self._start(stack, known), began)
            for artifact, (action, began) in list(running.items()):
                seconds = time.monotonic() - began
                if self._finished(waiting[artifact], seconds):
                    done.append(Deployed(waiting.pop(artifact), action, seconds))
                    del running[artifact]
                    self._report(f"{done[-1].stack.name} {action} in {seconds:.2f} s")
            time.sleep(POLL_SECONDS)
        return done

    def _start(self, stack: Stack, known: dict[str, dict[str, str]]) -> str:
        arguments = {
            "StackName": stack.name,
            "TemplateURL": self._template_url(stack),
            "Capabilities": CAPABILITIES,
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": self._clients.endpoint}
                for name in stack.template.get("Parameters", {})
                if name == ENDPOINT_PARAMETER
            ],
            "Tags": [
                {"Key": key, "Value": value}
                for key, value in {**stack.tags, TEMPLATE_TAG: stack.template_url}.items()
            ],
        }
        try:
            if stack.name in known:
                self._cloudformation.update_stack(**arguments)
                return "updated"
            self._cloudformation.create_stack(**arguments, DisableRollback=True)
            return "created"
        except ClientError as error:
            raise LocalError(
                f"stack {stack.name} was refused: {error.response['Error']['Message']}"
            ) from error

    def _template_url(self, stack: Stack) -> str:
        return f"{self._clients.endpoint}/{stack.template_url.removeprefix('s3://')}"

    def _finished(self, stack: Stack, seconds: float) -> bool:
        status = self._status(stack)
        if status in DONE:
            return True
        if status.endswith("IN_PROGRESS") and "ROLLBACK" not in status:
            if seconds > STACK_SECONDS:
                raise LocalError(
                    f"stack {stack.name} is still {status} after {STACK_SECONDS:.0f} s: "
                    "look into the emulator's log, then `make down` and `make up`"
                )
            return False
        raise LocalError(f"stack {stack.name} failed: {self._first_failure(stack)}")

    def _wait(self, stack: Stack, wanted: tuple[str, ...]) -> None:
        deadline = time.monotonic() + STACK_SECONDS
        while (status := self._status(stack)) not in wanted:
            if time.monotonic() > deadline or status.endswith("FAILED"):
                raise LocalError(
                    f"stack {stack.name} is {status}: run `make down` and `make up` to start afresh"
                )
            time.sleep(POLL_SECONDS)

    def _status(self, stack: Stack) -> str:
        try:
            answer = self._cloudformation.describe_stacks(StackName=stack.name)
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return "DELETE_COMPLETE"
            raise
        return str(answer["Stacks"][0]["StackStatus"])

    def _first_failure(self, stack: Stack) -> str:
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(
            StackName=stack.name
        )
        failures = [
            event
            for page in pages
            for event in page["StackEvents"]
            if event["ResourceStatus"].endswith("_FAILED")
            and event["ResourceType"] != "AWS::CloudFormation::Stack"
        ]
        if not failures:
            answer = self._cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]
            return str(answer.get("StackStatusReason", answer["StackStatus"]))
        first = failures[-1]  # the newest event comes first
        reason = " ".join(str(first.get("ResourceStatusReason", "no reason given")).split())
        return f"{first['ResourceType']} {first['LogicalResourceId']}: {reason}"

    def _known(self) -> dict[str, dict[str, str]]:
        """Read what is deployed: status, and template where the stack is whole."""
        pages = self._cloudformation.get_paginator("describe_stacks").paginate()
        known = {}
        for stack in (stack for page in pages for stack in page["Stacks"]):
            status = stack["StackStatus"]
            tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
            template = tags.get(TEMPLATE_TAG, "") if status in DONE else ""
            if status != "DELETE_COMPLETE":
                known[stack["StackName"]] = {"status": status, "template": template}
        return known


def silently(_line: str) -> None:
    """Report nothing."""


def main() -> None:
    """Deploy cdk.out as it is."""
    emulator = Emulator()
    if not emulator.answers():
        raise LocalError("the emulator is not running: run `make up`")
    began = time.monotonic()
    stacks = assembly.load(settings.CLOUD_ASSEMBLY)
    done = Deployer(Clients(emulator.url)).deploy(stacks)
    print(
        f"{len(done)} of {len(stacks)} stacks deployed in {time.monotonic() - began:.1f} s"
        if done
        else "Nothing changed."
    )


if __name__ == "__main__":
    run_command(main)
