"""What holds data: tables made from PynamoDB models, keys, buckets, secrets."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from aws_cdk import App, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm

from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.resources import Table
from infra.cdk.stage import Stage


class DataStack(ContextStack):
    """Base of the `data` stacks: what they hold is kept when the stack is deleted."""

    def __init__(self, app: App, stage: Stage, context: str, part: str = "") -> None:
        super().__init__(app, stage, context, part)
        self.termination_protection = not stage.local
        self.tables: list[Table] = []
        self.keys: dict[str, kms.Key] = {}

    def key(self, alias: str, description: str, *, signing: bool = False) -> kms.Key:
        """Add a key with the alias `mailroom-<stage>-<alias>`; other stacks find it through SSM.

        A signing key is ECC P-256 and, as KMS does not rotate those, comes in generations.
        """
        key = kms.Key(
            self,
            f"{_title(alias)}Key",
            alias=self.stage.name_of(alias),
            description=description,
            key_spec=kms.KeySpec.ECC_NIST_P256 if signing else kms.KeySpec.SYMMETRIC_DEFAULT,
            key_usage=kms.KeyUsage.SIGN_VERIFY if signing else kms.KeyUsage.ENCRYPT_DECRYPT,
            enable_key_rotation=not signing,
            pending_window=Duration.days(30),
            removal_policy=RemovalPolicy.DESTROY if signing else self.stage.removal_policy,
        )
        self.keys[alias] = key
        self.share(f"keys/{alias}", key.key_arn)
        return key

    def key_arn(self, alias: str) -> str:
        """Return the ARN of a key, of this stack or another."""
        return self.keys[alias].key_arn if alias in self.keys else super().key_arn(alias)

    def add_context_key(self) -> kms.Key:
        """Add the key of the context's tables, objects, secrets and logs."""
        key = self.key(self.context, f"Data at rest of {self.context}")
        logs = f"arn:aws:logs:{self.region}:{self.account}:log-group:*"
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")],
                actions=[
                    "kms:Decrypt*",
                    "kms:Describe*",
                    "kms:Encrypt*",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
            )
        )
        self.context_key = key
        return key

    def table(self, base_model: Any) -> dynamodb.CfnTable:
        """Add the table of a PynamoDB base model: its keys, indexes and TTL are read from it."""
        name: str = base_model.Meta.table_name
        short = name.removeprefix(self.stage.name_of(""))
        schema = base_model._get_schema()  # noqa: SLF001 - PynamoDB has no public form
        definitions = schema["attribute_definitions"]
        ttl = base_model._ttl_attribute()  # noqa: SLF001
        table = dynamodb.CfnTable(
            self,
            f"{_title(short)}Table",
            table_name=name,
            attribute_definitions=[
                _lower(item) for item in {i["AttributeName"]: i for i in definitions}.values()
            ],
            key_schema=_keys(schema["key_schema"]),
            global_secondary_indexes=_indexes(schema) or None,
            billing_mode="PAY_PER_REQUEST",
            deletion_protection_enabled=not self.stage.local,
            point_in_time_recovery_specification={"pointInTimeRecoveryEnabled": True},
            sse_specification={
                "sseEnabled": True,
                "sseType": "KMS",
                "kmsMasterKeyId": self.context_key.key_arn,
            },
            stream_specification={"streamViewType": "NEW_AND_OLD_IMAGES"},
            time_to_live_specification={"attributeName": ttl.attr_name, "enabled": True},
        )
        table.apply_removal_policy(self.stage.removal_policy)
        self.share(f"streams/{short}", table.attr_stream_arn)
        self.tables.append(Table(short, self.context))
        return table

    def bucket(self, name: str, *, object_lock_days: int | None = None) -> s3.Bucket:
        """Add a private, versioned bucket under the context's key, for TLS only."""
        lock = None
        if object_lock_days:
            mode = getattr(s3.ObjectLockRetention, self.stage.object_lock_mode.lower())
            lock = mode(Duration.days(object_lock_days))
        return s3.Bucket(
            self,
            f"{_title(name)}Bucket",
            bucket_name=self.bucket_name(name),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.context_key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=not self.stage.local,
            versioned=True,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{name}/",
            object_lock_default_retention=lock,
            removal_policy=self.stage.removal_policy,
        )

    @cached_property
    def access_logs(self) -> s3.IBucket:
        """The bucket that S3 writes its access logs to; it belongs to the kernel."""
        name = self.bucket_name("access-logs")
        return s3.Bucket.from_bucket_name(self, "AccessLogs", name)

    def secret(self, name: str, description: str) -> secretsmanager.CfnSecret:
        """Add the secret `mailroom/<stage>/<name>`, empty: an operator puts the value in."""
        secret = secretsmanager.CfnSecret(
            self,
            f"{_title(name)}Secret",
            name=f"mailroom/{self.stage.name}/{name}",
            description=description,
            kms_key_id=self.context_key.key_arn,
        )
        secret.apply_removal_policy(self.stage.removal_policy)
        return secret

    def share(self, name: str, value: str) -> None:
        """Leave an id that AWS generates in SSM, for other stacks' `parameter(name)`."""
        ssm.StringParameter(
            self,
            f"{_title(name)}Parameter",
            parameter_name=self.stage.parameter_of(name),
            string_value=value,
        )


def _title(name: str) -> str:
    return "".join(
        word.capitalize() for word in name.replace("/", "-").replace("_", "-").split("-")
    )


def _indexes(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "indexName": index["index_name"],
            "keySchema": _keys(index["key_schema"]),
            "projection": _lower(index["projection"]),
        }
        for index in schema["global_secondary_indexes"]
    ]


def _keys(schema: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a key schema with the partition key first, as DynamoDB wants it."""
    return [_lower(item) for item in sorted(schema, key=lambda item: str(item["KeyType"]))]


def _lower(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties under CDK's names, which begin with a small letter."""
    return {name[0].lower() + name[1:]: value for name, value in item.items()}
