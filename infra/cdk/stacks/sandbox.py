"""The providers' fakes: one Lambda behind a REST API that is made from the Chalice app's routes."""

from typing import Final

from aws_cdk import App, Duration, Tags
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs

from infra.cdk import layers
from infra.cdk.constructs.data import DataStack
from infra.cdk.constructs.function import ARCHITECTURE, RUNTIME
from infra.cdk.constructs.grantee import Grantee
from infra.cdk.constructs.resources import Function, Table, allow
from infra.cdk.stage import Stage
from sandbox import entry, storage

TABLE: Final = Table("sandbox", context="sandbox")

_ACTIONS: Final = (
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)


class Sandbox(DataStack):
    """Table, Lambda and REST API of the sandbox; production has none."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "sandbox")
        self.add_context_key()
        self.table(storage.SandboxTable)
        function = self._add_function()
        api = self._add_api(function)
        function.add_permission(
            "Api",
            principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
            source_arn=api.arn_for_execute_api(),
        )
        self.share("sandbox-url", api.url.rstrip("/"))

    def _add_function(self) -> lambda_.Function:
        grantee = Grantee(self, "fakes")
        log_group = grantee.add_log_group("/aws/lambda")
        dead_letters = sqs.Queue(
            grantee,
            "DeadLetters",
            queue_name=f"{grantee.physical_name}-dead",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=not self.stage.local,
            retention_period=Duration.days(14),
        )
        grantee.allow(TABLE, *_ACTIONS).allow(Function("sandbox/fakes"), "InvokeFunction")
        grantee.grant(
            allow("logs", ["CreateLogStream", "PutLogEvents"], [log_group.log_group_arn]),
            allow("sqs", ["SendMessage"], [dead_letters.queue_arn]),
        )
        function = lambda_.Function(
            grantee,
            "Function",
            function_name=grantee.physical_name,
            description="Stateful fakes of the providers",
            code=lambda_.Code.from_asset(str(layers.build("sandbox", self.stage.layers))),
            handler="sandbox.entry.handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            layers=[self.layer("dependencies-sandbox")],
            role=grantee.add_role("lambda"),
            log_group=log_group,
            environment={
                "MAILROOM_STAGE": self.stage.name,
                "SANDBOX_CONTROL_TOKEN": self._control_token(),
            },
            timeout=Duration.minutes(5),
            memory_size=512,
            tracing=lambda_.Tracing.ACTIVE,
        )
        function.configure_async_invoke(
            on_failure=destinations.SqsDestination(dead_letters), retry_attempts=0
        )
        return function

    def _control_token(self) -> str:
        """Return what guards the control API: a generated secret, on the emulator a fixed word."""
        if self.stage.local:
            return "local"
        secret = secretsmanager.Secret(
            self,
            "ControlToken",
            secret_name=f"mailroom/{self.stage.name}/sandbox",
            description="Token of the sandbox's control API",
            encryption_key=self.context_key,
            generate_secret_string=secretsmanager.SecretStringGenerator(exclude_punctuation=True),
            removal_policy=self.stage.removal_policy,
        )
        return secret.secret_value.unsafe_unwrap()

    def _add_api(self, function: lambda_.Function) -> apigateway.RestApi:
        access_logs = logs.LogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/aws/vendedlogs/{self.stage.name_of('sandbox')}",
            encryption_key=self.context_key,
            retention=self.log_retention,
            removal_policy=self.stage.removal_policy,
        )
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=self.stage.name_of("sandbox"),
            cloud_watch_role=not self.stage.local,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                stage_name="sandbox",
                access_log_destination=apigateway.LogGroupLogDestination(access_logs),
                access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                    caller=False,
                    http_method=True,
                    ip=True,
                    protocol=True,
                    request_time=True,
                    resource_path=True,
                    response_length=True,
                    status=True,
                    user=False,
                ),
                throttling_rate_limit=self.stage.requests_per_second,
                throttling_burst_limit=self.stage.burst,
                tracing_enabled=True,
            ),
        )
        Tags.of(api).add("ms-custom-id", self.stage.sandbox_id_on_the_emulator)
        path = f"2015-03-31/functions/{function.function_arn}/invocations"
        integration = apigateway.Integration(
            type=apigateway.IntegrationType.AWS_PROXY,
            integration_http_method="POST",
            uri=f"arn:aws:apigateway:{self.region}:lambda:path/{path}",
        )
        for path, methods in entry.routes():
            resource = api.root.resource_for_path(path)
            for method in methods:
                resource.add_method(method, integration)
        return api
