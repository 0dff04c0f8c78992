"""A stage (local, staging, production): what differs between deployments of the same code."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from aws_cdk import Environment, RemovalPolicy


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Settings of one stage, from `stages` in cdk.json; no secrets, and nothing is looked up."""

    name: str
    region: str
    account: str | None = None
    layers: Literal["local", "aws", "none"] = "aws"
    token_key_generation: int = 1
    log_retention_days: int = 30
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    sandbox: bool = False
    edge: bool = False
    backup_region: str | None = None
    public_url: str = "https://mailroom.local"
    cors_origins: tuple[str, ...] = ("*",)
    mail_domain: str = "mailroom.example"
    requests_per_second: int = 500
    burst: int = 1_000
    webhook_concurrency: int = 20
    public_calls_per_minute: int = 30
    domain: str | None = None
    certificate_arn: str | None = None
    api_id_on_the_emulator: str = "0a11b0c5"
    sandbox_id_on_the_emulator: str = "5a4db0c5"

    def __post_init__(self) -> None:
        if self.sandbox and self.name == "production":
            raise ValueError("The sandbox has no place in production")

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> "Stage":
        """Read the stage that `-c stage=…` or `-c local=true` names; ValueError when unknown."""
        name = "local" if str(context.get("local")).lower() == "true" else context["stage"]
        stages: dict[str, dict[str, Any]] = context["stages"]
        if name not in stages:
            raise ValueError(f"cdk.json has no stage {name!r}; it has {', '.join(stages)}")
        settings = {"account": os.environ.get("CDK_DEFAULT_ACCOUNT"), **stages[name]}
        if unknown := settings.keys() - {field.name for field in fields(cls)}:
            raise ValueError(f"cdk.json: stage {name} has unknown settings {sorted(unknown)}")
        settings["cors_origins"] = tuple(settings.get("cors_origins", ["*"]))
        if "layers" in context:
            settings["layers"] = context["layers"]
        generation = int(context["token_key_generation"])
        return cls(name=name, token_key_generation=generation, **settings)

    @property
    def local(self) -> bool:
        """Tell whether the stage runs on the emulator."""
        return self.name == "local"

    @property
    def environment(self) -> Environment:
        """Return account and region; the account stays open when none is known."""
        return Environment(account=self.account, region=self.region)

    @property
    def removal_policy(self) -> RemovalPolicy:
        """Return what happens to data whose stack is deleted: kept, except on the emulator.

        A resource whose first creation is rolled back goes, or its name would block the next try.
        """
        return RemovalPolicy.DESTROY if self.local else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE

    def name_of(self, resource: str) -> str:
        """Return a physical name, as `kernel.settings.resource_name` does at run time."""
        return f"mailroom-{self.name}-{resource}"

    def parameter_of(self, name: str) -> str:
        """Return the SSM parameter through which stacks share an id that AWS generates."""
        return f"/mailroom/{self.name}/{name}"

    @property
    def token_key_generations(self) -> range:
        """Return the signing keys that exist: the next, the present and the two before.

        Functions accept g-1, g and g+1. The one before those stays for one more rotation, as
        functions that a deployment has not yet reached still ask for it.
        """
        return range(max(1, self.token_key_generation - 2), self.token_key_generation + 2)
