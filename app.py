"""The CDK app: composes the stacks of a stage. Synthesising needs no credentials.

cdk synth -c stage=staging      cdk synth -c local=true
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "20,22"
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT), *(str(path) for path in sorted(ROOT.glob("layers/*/python")))]

from aws_cdk import App  # noqa: E402

from infra.cdk.stage import Stage  # noqa: E402


def main() -> None:
    """Compose and synthesise the stacks of the stage that the context names.

    For the emulator the templates are not held to CloudFormation's schemas and cdk-nag's rules:
    that takes longer than all the rest, and the other stages are.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    stage = Stage.of(context)
    os.environ |= {"MAILROOM_STAGE": stage.name, "AWS_DEFAULT_REGION": stage.region}
    from infra.cdk import nag
    from infra.cdk.composition import compose

    app = App(
        context=context,
        analytics_reporting=False,
        builtin_cloud_formation_validation=not stage.local,
        stack_traces=False,
        tree_metadata=False,
    )
    compose(app, stage)
    if not stage.local:
        nag.check(app)
    app.synth()


if __name__ == "__main__":
    main()
