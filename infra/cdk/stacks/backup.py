"""Backups of all tables, daily, kept 30 days here and in a second region. AWS only.

Point-in-time recovery covers the last 35 days within the region (RPO 5 minutes); these copies
cover the loss of the region.
"""

from collections.abc import Sequence
from typing import Final

from aws_cdk import App, Duration, Environment, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms

from infra.cdk.constructs.context_stack import ContextStack
from infra.cdk.constructs.resources import Table
from infra.cdk.stage import Stage

KEPT: Final = Duration.days(30)


class BackupCopy(Stack):
    """The vault in the second region."""

    def __init__(self, app: App, stage: Stage) -> None:
        super().__init__(
            app,
            "backup-copy",
            stack_name=stage.name_of("backup-copy"),
            description=f"Mailroom {stage.name}: copies of backups",
            env=Environment(account=stage.account, region=stage.backup_region),
            termination_protection=True,
        )
        _vault(self, stage)


class Backup(ContextStack):
    """The plan, the vault in the stage's own region, and which tables they are for."""

    def __init__(self, app: App, stage: Stage, tables: Sequence[Table]) -> None:
        super().__init__(app, stage, "backup")
        copies = backup.BackupVault.from_backup_vault_arn(
            self,
            "Copies",
            f"arn:aws:backup:{stage.backup_region}:{self.account}:backup-vault:{stage.name_of('backup')}",
        )
        plan = backup.BackupPlan(
            self,
            "Plan",
            backup_plan_name=stage.name_of("daily"),
            backup_vault=_vault(self, stage),
            backup_plan_rules=[
                backup.BackupPlanRule(
                    rule_name="daily",
                    schedule_expression=events.Schedule.cron(hour="3", minute="0"),
                    start_window=Duration.hours(1),
                    completion_window=Duration.hours(6),
                    delete_after=KEPT,
                    copy_actions=[
                        backup.BackupPlanCopyActionProps(
                            destination_backup_vault=copies, delete_after=KEPT
                        )
                    ],
                )
            ],
        )
        plan.add_selection(
            "Tables",
            backup_selection_name=stage.name_of("tables"),
            resources=[
                backup.BackupResource.from_arn(table_arn)
                for table in tables
                for table_arn in table.arns(self)
            ],
        )


def _vault(stack: Stack, stage: Stage) -> backup.BackupVault:
    key = kms.Key(
        stack,
        "Key",
        alias=stage.name_of("backup"),
        description="Backups",
        enable_key_rotation=True,
        removal_policy=stage.removal_policy,
    )
    return backup.BackupVault(
        stack,
        "Vault",
        backup_vault_name=stage.name_of("backup"),
        encryption_key=key,
        removal_policy=stage.removal_policy,
    )
