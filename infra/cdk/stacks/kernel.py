"""The kernel's stacks: tables, bus, keys and audit archive; the HTTP API; journal and timers."""

import json

from aws_cdk import App, CfnOutput, Duration, Tags
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm

from infra.cdk import tree
from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.data import DataStack
from infra.cdk.constructs.resources import GATE, JOURNAL, TIMERS, EventBus, Executions, Objects
from infra.cdk.stage import Stage
from kernel import tables

ACCESS_LOG = json.dumps(
    {
        "request_id": "$context.requestId",
        "route": "$context.routeKey",
        "status": "$context.status",
        "ip": "$context.identity.sourceIp",
        "user_agent": "$context.identity.userAgent",
        "bytes": "$context.responseLength",
        "latency_milliseconds": "$context.responseLatency",
        "integration_error": "$context.integrationErrorMessage",
    }
)
AUDIT_RETENTION_DAYS = 2_557
"""Seven years."""


class KernelData(DataStack):
    """Tables `gate`, `journal` and `timers`, the event bus, keys and the audit archive."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "kernel", "data")
        self.add_context_key()
        for model in tables.ALL:
            self.table(model)
        self.key("fields", "Sensitive fields, with tenant and field as encryption context")
        for generation in stage.token_key_generations:
            self.key(
                f"tokens-{generation}", f"Access tokens, generation {generation}", signing=True
            )
        self.access_logs = self._add_access_logs()
        self.bucket("audit", object_lock_days=AUDIT_RETENTION_DAYS)
        self._add_bus()
        self._add_alarm_topic()

    def _add_access_logs(self) -> s3.Bucket:
        """Add the bucket of S3's access logs, which S3 can write under its own key only."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=self.bucket_name("access-logs"),
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=not self.stage.local,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(self.stage.log_retention_days),
                    noncurrent_version_expiration=Duration.days(1),
                )
            ],
            removal_policy=self.stage.removal_policy,
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects("*")],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        return bucket

    def _add_bus(self) -> None:
        """Add the bus, its key, and the queue of events that could not be encrypted."""
        name = self.stage.name_of("events")
        service = iam.ServicePrincipal("events.amazonaws.com")
        key = self.key("events", "Events on the bus")
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service],
                actions=["kms:DescribeKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        dead_letters = sqs.Queue(
            self,
            "BusDeadLetters",
            queue_name=f"{name}-dead",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=not self.stage.local,
            retention_period=Duration.days(14),
        )
        dead_letters.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service],
                actions=["sqs:SendMessage"],
                resources=[dead_letters.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": EventBus().arns(self)[0]}},
            )
        )
        events.EventBus(
            self, "Bus", event_bus_name=name, kms_key=key, dead_letter_queue=dead_letters
        )

    def _add_alarm_topic(self) -> None:
        key = self.key("alarms", "Alarms on their way to operators")
        key.grant_encrypt_decrypt(iam.ServicePrincipal("cloudwatch.amazonaws.com"))
        topic = sns.Topic(
            self,
            "AlarmTopic",
            topic_name=self.stage.name_of("alarms"),
            master_key=key,
            enforce_ssl=not self.stage.local,
        )
        topic.grant_publish(iam.ServicePrincipal("cloudwatch.amazonaws.com"))


class KernelApi(ContextStack):
    """The HTTP API that every context adds its routes to, and the kernel's own endpoints."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "kernel", "api")
        self.http_api = self._add_api()
        self.function("check_live")
        self.function("check_ready")
        self.function("read_docs")
        self.function("read_openapi")
        self.function("read_problems")
        self.function("create_test_clock").writes_facts().allow(TIMERS, "Query")
        self.function("read_test_clock").reads_clock()
        self.function("request_test_clock_advance").writes_facts().reads_clock().sends_to(
            "clock-advance"
        )

    def _add_api(self) -> apigateway.HttpApi:
        api = apigateway.HttpApi(
            self,
            "HttpApi",
            api_name=self.stage.name_of("api"),
            create_default_stage=False,
            cors_preflight=apigateway.CorsPreflightOptions(
                allow_origins=list(self.stage.cors_origins),
                allow_methods=[apigateway.CorsHttpMethod.ANY],
                allow_headers=[
                    "authorization",
                    "content-type",
                    "idempotency-key",
                    "x-api-key",
                    "x-request-id",
                ],
                expose_headers=[
                    "idempotent-replayed",
                    "retry-after",
                    "x-ratelimit-limit",
                    "x-ratelimit-remaining",
                    "x-ratelimit-reset",
                    "x-request-id",
                ],
                max_age=Duration.hours(1),
            ),
        )
        Tags.of(api).add("ms-custom-id", self.stage.api_id_on_the_emulator)
        log_group = logs.LogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/aws/vendedlogs/{self.stage.name_of('api')}",
            encryption_key=self.context_key,
            retention=self.log_retention,
            removal_policy=self.stage.removal_policy,
        )
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=api.api_id,
            stage_name="$default",
            auto_deploy=True,
            access_log_settings={"destinationArn": log_group.log_group_arn, "format": ACCESS_LOG},
            default_route_settings={
                "detailedMetricsEnabled": True,
                "throttlingBurstLimit": self.stage.burst,
                "throttlingRateLimit": self.stage.requests_per_second,
            },
        )
        ssm.StringParameter(
            self,
            "ApiId",
            parameter_name=self.stage.parameter_of("http-api-id"),
            string_value=api.api_id,
        )
        CfnOutput(self, "ApiAddress", value=api.api_endpoint)
        return api


class KernelFlows(ContextStack):
    """What runs behind the API for every context: the journal's publisher, timers, test clocks."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(app, stage, "kernel", "flows")
        self.function("publish_events").allow(EventBus(), "PutEvents").allow(TIMERS, "UpdateItem")
        self.function("republish_events").allow(EventBus(), "PutEvents").allow(
            TIMERS, "UpdateItem"
        ).allow(JOURNAL, "Query")
        self.function("archive_journal").allow(Objects("audit", "kernel"), "PutObject")
        self.function("wait_until").arms_timers()
        self.function("fire_due_timers").fires_timers().allow(TIMERS, "Query").allow(
            GATE, "GetItem"
        )
        worker = self.function("advance_test_clock").fires_timers().sends_to("clock-advance")
        worker.allow(TIMERS, "Query").allow(GATE, "UpdateItem")
        for flow in tree.flows():
            worker.allow(Executions(flow), "DescribeExecution")
