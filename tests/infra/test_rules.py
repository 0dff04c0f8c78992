"""cdk-nag, CloudFormation's own schemas and cfn-lint find nothing; and they do look."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_sqs as sqs

from infra.cdk import nag
from tests.infra.assembly import Assembly


def test_cdk_nag_and_the_schemas_find_nothing(staging: Assembly, production: Assembly) -> None:
    """The schemas are asked for staging only: production differs by what they do not see."""
    for assembly in (staging, production):
        report = json.loads((assembly.folder / "validation-report.json").read_text())
        found = [
            violation for plugin in report["pluginReports"] for violation in plugin["violations"]
        ]
        assert found == []


def test_cdk_nag_looks(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    sqs.Queue(Stack(app, "careless"), "Queue")
    nag.check(app)
    with pytest.raises(RuntimeError, match="AwsSolutions"):
        app.synth()
    report = json.loads((tmp_path / "validation-report.json").read_text())
    rules = {
        violation["ruleName"]
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
    }
    assert "AwsSolutions-SQS4" in rules


def test_every_finding_that_stands_has_a_reason() -> None:
    reasons = [
        *nag._EVERYWHERE.values(),
        *(r for rules in nag._BY_STACK.values() for r in rules.values()),
    ]
    assert all(len(reason.split()) >= 5 for reason in reasons)


def test_cfn_lint_finds_nothing(staging: Assembly) -> None:
    """Staging has every stack; `make check` lints what the emulator gets."""
    templates = [
        str(staging.folder / artifact["properties"]["templateFile"])
        for artifact in staging.manifest.values()
    ]
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    finished = subprocess.run(
        [str(cfn_lint), "--ignore-checks", "W3005", "--template", *templates],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4_000:]
