import json
from pathlib import Path
from typing import Any

import pytest

from local import assembly
from local.errors import LocalError

QUEUE = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "a"}}}}


def write(folder: Path, stacks: dict[str, tuple[list[str], dict[str, Any]]]) -> None:
    artifacts: dict[str, Any] = {"Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}}}
    for name, (dependencies, template) in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps(template))
        (folder / f"{name}.assets.json").write_text(
            json.dumps(
                {
                    "files": {
                        "h1": {
                            "source": {"path": f"{name}.template.json", "packaging": "file"},
                            "destinations": {
                                "d": {
                                    "bucketName": "assets-${AWS::AccountId}-${AWS::Region}",
                                    "objectKey": f"{name}.json",
                                }
                            },
                        }
                    }
                }
            )
        )
        artifacts[f"{name}.assets"] = {
            "type": "cdk:asset-manifest",
            "properties": {"file": f"{name}.assets.json"},
        }
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackName": f"mailroom-local-{name}",
                "stackTemplateAssetObjectUrl": f"s3://assets-${{AWS::AccountId}}/{name}.json",
            },
            "dependencies": [*dependencies, f"{name}.assets"],
        }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))


def test_stacks_follow_those_they_depend_on(tmp_path: Path) -> None:
    write(tmp_path, {"api": (["flows"], QUEUE), "flows": (["data"], QUEUE), "data": ([], QUEUE)})
    assert [stack.artifact for stack in assembly.load(tmp_path)] == ["data", "flows", "api"]


def test_stack_says_what_a_deployment_needs(tmp_path: Path) -> None:
    write(tmp_path, {"data": ([], QUEUE)})
    (stack,) = assembly.load(tmp_path)
    assert stack.name == "mailroom-local-data"
    assert stack.template_url == "s3://assets-000000000000/data.json"
    assert stack.resources("AWS::SQS::Queue") == {"Queue": {"QueueName": "a"}}
    (asset,) = stack.assets
    assert (asset.bucket, asset.key) == ("assets-000000000000-us-east-1", "data.json")
    assert asset.source == tmp_path / "data.template.json"
    assert not asset.zipped


def test_stack_without_resources_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"data": ([], QUEUE), "flows": (["data"], {})})
    assert [stack.artifact for stack in assembly.load(tmp_path)] == ["data"]


def test_missing_assembly_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="run `make synth`"):
        assembly.load(tmp_path)
