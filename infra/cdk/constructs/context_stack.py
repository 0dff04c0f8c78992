"""`ContextStack`: base of every stack; in it, one line names a function."""

from collections.abc import Sequence
from functools import cache, cached_property

from aws_cdk import App, CfnParameter, DefaultStackSynthesizer, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm

from infra.cdk import code, layers, tree
from infra.cdk.constructs.function import ARCHITECTURE, RUNTIME, Function
from infra.cdk.constructs.state_machine import StateMachine
from infra.cdk.stage import Stage


class ContextStack(Stack):
    """One of a context's stacks: `data`, `api` or `flows`; a part that stands alone has no name."""

    def __init__(self, app: App, stage: Stage, context: str, part: str = "") -> None:
        name = f"{context}-{part}" if part else context
        super().__init__(
            app,
            name,
            stack_name=stage.name_of(name),
            description=f"Mailroom {stage.name}: {name}",
            env=stage.environment,
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=not stage.local),
            tags={"mailroom:stage": stage.name, "mailroom:context": context},
        )
        self.stage, self.context = stage, context
        self.place = f"{self.region}:{self.account}"
        self.functions: dict[str, Function] = {}
        self.state_machines: dict[str, StateMachine] = {}
        self.environment_variables: dict[str, str] = {}

    def function(
        self,
        file: str,
        *,
        groups: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        timeout_seconds: int | None = None,
        memory_megabytes: int = 512,
    ) -> Function:
        """Add the Lambda of `functions/<context>/<file>.py`.

        `groups` names the third-party layers that it needs besides `core`.
        """
        self.functions[file] = Function(
            self,
            file,
            layers=[self.layer(name) for name in self._layer_names(groups)],
            environment=self._environment(file) | self.environment_variables | (environment or {}),
            timeout_seconds=timeout_seconds,
            memory_megabytes=memory_megabytes,
        )
        return self.functions[file]

    def state_machine(self, file: str) -> StateMachine:
        """Add the flow of `state_machines/<context>/<file>.asl.json`."""
        self.state_machines[file] = StateMachine(self, file)
        return self.state_machines[file]

    @cache  # noqa: B019 - stacks live as long as the app
    def layer(self, name: str) -> lambda_.LayerVersion:
        """Return the stack's own version of a layer; an exported one could never be updated."""
        return lambda_.LayerVersion(
            self,
            f"{name.title().replace('-', '')}Layer",
            layer_version_name=f"{self.stack_name}-{name}",
            code=lambda_.Code.from_asset(str(layers.build(name, self.stage.layers))),
            compatible_architectures=[ARCHITECTURE],
            compatible_runtimes=[RUNTIME],
        )

    def parameter(self, name: str) -> str:
        """Return an id that another stack left in SSM; read anew by every deployment."""
        path = self.stage.parameter_of(name)
        return ssm.StringParameter.value_for_string_parameter(self, path)

    def key_arn(self, alias: str) -> str:
        """Return the ARN of the key with the alias `mailroom-<stage>-<alias>`."""
        return self.parameter(f"keys/{alias}")

    def bucket_name(self, name: str) -> str:
        """Return the physical name of a bucket, unique among all accounts by the account's id."""
        return f"{self.stage.name_of(name)}-{self.account}"

    @cached_property
    def emulator(self) -> str:
        """The address of the emulator; who deploys to another port gives it as a parameter."""
        default = "http://localhost:4566"
        return CfnParameter(self, "Emulator", default=default).value_as_string

    @property
    def public_url(self) -> str:
        """Where callers reach the API."""
        if self.stage.local:
            return f"{self.emulator}/_aws/execute-api/{self.stage.api_id_on_the_emulator}"
        return self.stage.public_url

    @property
    def sandbox_url(self) -> str | None:
        """Where the providers' fakes are, or None in a stage that has none."""
        if self.stage.local:
            return (
                f"{self.emulator}/_aws/execute-api/{self.stage.sandbox_id_on_the_emulator}/sandbox"
            )
        return self.parameter("sandbox-url") if self.stage.sandbox else None

    @cached_property
    def http_api(self) -> apigateway.IHttpApi:
        """The HTTP API that routes are added to."""
        return apigateway.HttpApi.from_http_api_attributes(
            self, "HttpApi", http_api_id=self.parameter("http-api-id")
        )

    @cached_property
    def event_bus(self) -> events.IEventBus:
        """The platform's event bus."""
        return events.EventBus.from_event_bus_name(self, "Bus", self.stage.name_of("events"))

    @cached_property
    def context_key(self) -> kms.IKey:
        """The key under which the context's tables, objects, secrets and logs lie."""
        return kms.Key.from_key_arn(self, "ContextKey", self.parameter(f"keys/{self.context}"))

    @cached_property
    def code(self) -> lambda_.Code:
        """The code of the context's functions."""
        return lambda_.Code.from_asset(str(code.stage(self.context)))

    @property
    def log_retention(self) -> logs.RetentionDays:
        """How long logs are kept: 30 days, in production a year."""
        kept = {30: logs.RetentionDays.ONE_MONTH, 365: logs.RetentionDays.ONE_YEAR}
        return kept[self.stage.log_retention_days]

    def _layer_names(self, groups: Sequence[str]) -> list[str]:
        own = [self.context] if (tree.ROOT / "layers" / self.context).is_dir() else []
        return [f"dependencies-{group}" for group in ("core", *groups)] + list(
            dict.fromkeys(["kernel", *own])
        )

    def _environment(self, file: str) -> dict[str, str]:
        return {
            "MAILROOM_STAGE": self.stage.name,
            "MAILROOM_ACCOUNT_ID": self.account,
            "MAILROOM_FUNCTION": f"{self.context}/{file}",
            "MAILROOM_TOKEN_KEY_GENERATION": str(self.stage.token_key_generation),
            "MAILROOM_TOKEN_ISSUER": self.stage.public_url,
            "MAILROOM_PUBLIC_CALLS_PER_MINUTE": str(self.stage.public_calls_per_minute),
            "MAILROOM_TRUSTED_PROXIES": "1" if self.stage.edge else "0",
            "POWERTOOLS_SERVICE_NAME": self.context,
            "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
        }
