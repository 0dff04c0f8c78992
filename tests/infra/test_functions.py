"""Every function: in tree and templates alike, on its own role, log group and settings."""

from types import SimpleNamespace
from typing import Any

import pytest

from infra.cdk import composition, tree
from infra.cdk.composition import IncompleteError
from tests.infra.assembly import Assembly


def in_the_tree() -> set[str]:
    return {
        f"{context}/{file}" for context in tree.contexts() for file in tree.function_files(context)
    }


def test_tree_and_templates_hold_the_same_functions(assembly: Assembly) -> None:
    assert set(assembly.functions()) == in_the_tree()


def test_tree_and_templates_hold_the_same_flows(assembly: Assembly) -> None:
    machines = assembly.resources("AWS::StepFunctions::StateMachine")
    prefix = f"mailroom-{assembly.stage}-"
    assert {item.properties["StateMachineName"] for item in machines} == {
        prefix + flow.replace("/", "-") for flow in tree.flows()
    }


def test_names_follow_from_context_and_file(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        expected = f"mailroom-{assembly.stage}-{name.replace('/', '-')}"
        assert function.properties["FunctionName"] == expected
        assert len(expected) <= 64, "Lambda takes no longer name"
        assert function.properties["Handler"] == f"{name.split('/')[1]}.handler"


def test_no_two_functions_share_a_role(assembly: Assembly) -> None:
    roles = [
        str(assembly.role_of(function)) for function in assembly.resources("AWS::Lambda::Function")
    ]
    assert len(set(roles)) == len(roles)


def test_each_function_has_a_log_group_that_ends_and_is_encrypted(assembly: Assembly) -> None:
    days = {"local": 30, "staging": 30, "production": 365}[assembly.stage]
    for function in assembly.resources("AWS::Lambda::Function"):
        reference = function.properties["LoggingConfig"]["LogGroup"]
        group = assembly.named(function.stack, reference).properties
        assert group["LogGroupName"] == f"/aws/lambda/{function.properties['FunctionName']}"
        assert group["RetentionInDays"] == days
        assert "KmsKeyId" in group


def test_runtime_architecture_and_tracing(assembly: Assembly) -> None:
    for function in assembly.resources("AWS::Lambda::Function"):
        assert function.properties["Runtime"] == "python3.13"
        assert function.properties["Architectures"] == ["arm64"]
        assert function.properties["TracingConfig"] == {"Mode": "Active"}


def test_environment_of_every_function(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        variables = function.properties["Environment"]["Variables"]
        assert variables["MAILROOM_STAGE"] == assembly.stage
        assert variables["POWERTOOLS_SERVICE_NAME"] == name.split("/")[0]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Mailroom"
        assert variables["MAILROOM_ACCOUNT_ID"]
        assert variables["MAILROOM_TOKEN_KEY_GENERATION"] == "1"


def test_layers_are_core_kernel_and_the_own_context(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        layers = [
            assembly.named(function.stack, reference).properties["LayerName"]
            for reference in function.properties["Layers"]
        ]
        stack = f"mailroom-{assembly.stage}-{function.stack}-"
        first_party = {item.removeprefix(stack) for item in layers if "-dependencies-" not in item}
        assert first_party == {"kernel", name.split("/")[0]}
        assert f"{stack}dependencies-core" in layers
        assert len(layers) <= 5, "Lambda takes no more layers"


def test_endpoints_end_before_the_api_gives_up(assembly: Assembly) -> None:
    for name, function in assembly.functions().items():
        if tree.handler(*name.split("/")).kind == "endpoint":
            assert function.properties["Timeout"] <= 29


def test_every_endpoint_has_its_route_and_nothing_else_has(assembly: Assembly) -> None:
    routes = {
        route.properties["RouteKey"] for route in assembly.resources("AWS::ApiGatewayV2::Route")
    }
    handlers = [tree.handler(*name.split("/")) for name in in_the_tree()]
    assert routes == {
        f"{handler.method} {handler.path}" for handler in handlers if handler.kind == "endpoint"
    }


def test_only_webhooks_have_urls_and_their_concurrency_is_bounded(assembly: Assembly) -> None:
    webhooks = {
        f"{function.stack}/{function.logical_id}"
        for name, function in assembly.functions().items()
        if tree.handler(*name.split("/")).kind == "webhook"
    }
    urls = list(assembly.resources("AWS::Lambda::Url"))
    assert {
        str(assembly.named(url.stack, url.properties["TargetFunctionArn"])) for url in urls
    } == webhooks
    for function in assembly.functions().values():
        bounded = "ReservedConcurrentExecutions" in function.properties
        assert bounded == (str(function) in webhooks)


def test_a_function_without_a_stack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "contexts", lambda: ["identity"])
    monkeypatch.setattr(tree, "function_files", lambda _: {"log_in", "log_out"})
    monkeypatch.setattr(tree, "state_machine_files", lambda _: {"delete_tenant"})
    stack: Any = SimpleNamespace(context="identity", functions={"log_in": None}, state_machines={})
    with pytest.raises(IncompleteError) as error:
        composition.check_complete([stack])
    assert 'infra/cdk/stacks/identity.py: add self.function("log_out")' in str(error.value)
    assert 'add self.state_machine("delete_tenant")' in str(error.value)
    assert "log_in" not in str(error.value)


def test_a_line_without_a_file_is_named() -> None:
    with pytest.raises(LookupError, match=r"functions/kernel/no_such_thing\.py"):
        tree.handler("kernel", "no_such_thing")
