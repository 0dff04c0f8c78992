"""The restore drill against moto, which restores by copying the source as it is at the call."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import restore_drill
from infra.restore_drill import Drill, DrillError
from kernel.tables import GateRecord, IdempotencyRecord, JournalTable, KeyRecord, TimersTable

pytestmark = pytest.mark.usefixtures("tables")

TABLES = ["mailroom-local-gate", "mailroom-local-journal", "mailroom-local-timers"]
TENANT = "tnt_test_01jd3v8m5ke5c8qv0m5w6r3x2y"


class Recovering:
    """A DynamoDB client whose recovery follows the clock, and whose restores can be spoilt."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.lag = timedelta(0)
        self.off: set[str] = set()
        self.spoil: Callable[[str], None] = lambda _target: None
        self.restores: list[dict[str, Any]] = []
        self.stuck: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def describe_continuous_backups(self, **arguments: str) -> dict[str, Any]:
        enabled = arguments["TableName"] not in self.off
        description = {
            "PointInTimeRecoveryStatus": "ENABLED" if enabled else "DISABLED",
            "EarliestRestorableDateTime": datetime(2026, 1, 1, tzinfo=UTC),
            "LatestRestorableDateTime": datetime.now(UTC) - self.lag,
        }
        backups = {"PointInTimeRecoveryDescription": description}
        return {"ContinuousBackupsDescription": backups}

    def restore_table_to_point_in_time(self, **arguments: Any) -> None:
        self.restores.append(arguments)
        self.client.restore_table_to_point_in_time(**arguments)
        self.spoil(arguments["TargetTableName"])

    def describe_table(self, **arguments: str) -> Any:
        answer = self.client.describe_table(**arguments)
        if self.is_stuck(arguments["TableName"]):
            answer["Table"]["TableStatus"] = "CREATING"
        return answer

    def delete_table(self, **arguments: str) -> None:
        if self.is_stuck(arguments["TableName"]):
            raise ClientError({"Error": {"Code": "ResourceInUseException"}}, "DeleteTable")
        self.client.delete_table(**arguments)

    def is_stuck(self, table: str) -> bool:
        return self.stuck is not None and table.startswith(f"{self.stuck}-drill-")

    def remove_restored(self, table: str, pk: str, sk: str) -> None:
        """Have an item missing in what is restored of a table."""

        def spoil(target: str) -> None:
            if target.startswith(table):
                key = {"pk": {"S": pk}, "sk": {"S": sk}}
                self.client.delete_item(TableName=target, Key=key)

        self.spoil = spoil


@pytest.fixture
def dynamodb(tables: None) -> Recovering:
    GateRecord.for_tenant(
        TENANT, status="active", limit_user_minute=100, limit_tenant_minute=1_000
    ).save()
    for number in range(30):
        KeyRecord.for_secret(
            f"{number:064x}",
            tenant_id=TENANT,
            key_id=f"key_{number}",
            user_id="usr_1",
            permissions={"tenant:read", "usage:read", "billing:read"},
        ).save()
    IdempotencyRecord(f"{TENANT}#IDEMPOTENCY", "r", body_hash="h", resource_id="i").save()
    return Recovering(boto3.client("dynamodb", region_name="us-east-1"))


def drill(dynamodb: Recovering, **options: Any) -> Drill:
    return Drill(dynamodb, "local", sleep=lambda _seconds: None, say=lambda _line: None, **options)


def test_every_table_is_restored_to_one_second_compared_and_deleted(dynamodb: Recovering) -> None:
    dynamodb.lag = timedelta(seconds=-5)
    report = drill(dynamodb).run()
    assert report.passed
    assert [result.table for result in report.results] == TABLES
    assert [result.comparison.items for result in report.results] == [31, 1, 0]
    assert [result.comparison.compared for result in report.results] == [31, 1, 0]
    assert {restore["RestoreDateTime"] for restore in dynamodb.restores} == {report.moment}
    day = f"{report.moment:%Y%m%d}"
    assert [restore["TargetTableName"] for restore in dynamodb.restores] == [
        f"{name}-drill-{day}" for name in TABLES
    ]
    assert dynamodb.list_tables()["TableNames"] == TABLES


def test_the_report_tells_durations_and_verdicts(dynamodb: Recovering) -> None:
    dynamodb.lag = timedelta(seconds=-5)
    text = str(drill(dynamodb).run())
    assert "RPO: the second became restorable after" in text
    assert "RTO: all tables were restored and compared after" in text
    assert text.count("  ok") == 3


def test_a_lost_item_is_found(dynamodb: Recovering) -> None:
    dynamodb.lag = timedelta(seconds=-5)
    dynamodb.remove_restored("mailroom-local-gate", TENANT, "GATE")
    report = drill(dynamodb).run()
    verdicts = {result.table: result.verdict for result in report.results}
    assert not report.passed
    assert f"1 of 31 samples are missing: {TENANT} GATE" in verdicts["mailroom-local-gate"]
    assert "30 items, where the source has 31 to 31" in verdicts["mailroom-local-gate"]
    assert verdicts["mailroom-local-journal"] == "ok"
    assert dynamodb.list_tables()["TableNames"] == TABLES


def test_an_item_with_other_content_is_found(dynamodb: Recovering) -> None:
    def spoil(target: str) -> None:
        if target.startswith("mailroom-local-gate"):
            dynamodb.client.update_item(
                TableName=target,
                Key={"pk": {"S": TENANT}, "sk": {"S": "GATE"}},
                UpdateExpression="SET #s = :s",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues={":s": {"S": "abuse"}},
            )

    dynamodb.lag, dynamodb.spoil = timedelta(seconds=-5), spoil
    report = drill(dynamodb).run()
    assert report.results[0].verdict == f"1 of 31 samples are different: {TENANT} GATE"


def test_what_changes_around_the_moment_is_not_held_against_the_restore(
    dynamodb: Recovering,
) -> None:
    def change_everything(_seconds: float) -> None:
        record = KeyRecord.for_secret(
            f"{0:064x}", tenant_id=TENANT, key_id="key_0", user_id="usr_2"
        )
        record.save()

    dynamodb.lag = timedelta(seconds=-5)
    report = Drill(dynamodb, "local", sleep=change_everything, say=lambda _line: None).run()
    assert report.passed
    assert report.results[0].comparison.compared == 30


def test_a_table_without_its_index_is_found(dynamodb: Recovering) -> None:
    def spoil(target: str) -> None:
        if target.startswith("mailroom-local-timers"):
            deletion = {"Delete": {"IndexName": "by_due"}}
            dynamodb.client.update_table(TableName=target, GlobalSecondaryIndexUpdates=[deletion])

    dynamodb.lag, dynamodb.spoil = timedelta(seconds=-5), spoil
    report = drill(dynamodb).run()
    assert report.results[2].verdict == "keys or indexes differ"


def test_the_key_of_the_source_encrypts_what_is_restored(dynamodb: Recovering) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    specification = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn}
    dynamodb.client.create_table(
        TableName="mailroom-sealed-one",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification=specification,
    )
    dynamodb.lag = timedelta(seconds=-5)
    sealed = Drill(dynamodb, "sealed", sleep=lambda _seconds: None, say=lambda _line: None)
    assert sealed.run().passed
    assert dynamodb.restores[0]["SSESpecificationOverride"] == specification


def test_a_restore_that_is_refused_does_not_stop_the_others(dynamodb: Recovering) -> None:
    def refuse(target: str) -> None:
        if target.startswith("mailroom-local-gate"):
            dynamodb.client.describe_table(TableName="nowhere")

    dynamodb.lag, dynamodb.spoil = timedelta(seconds=-5), refuse
    report = drill(dynamodb).run()
    assert report.results[0].verdict.startswith("not restored: ")
    assert [result.verdict for result in report.results[1:]] == ["ok", "ok"]
    assert dynamodb.list_tables()["TableNames"] == TABLES


def test_a_restore_that_takes_too_long_is_reported(dynamodb: Recovering) -> None:
    dynamodb.lag = timedelta(seconds=-5)
    dynamodb.stuck = "mailroom-local-gate"
    report = drill(dynamodb, patience_seconds=0.2).run()
    assert [result.verdict for result in report.results] == ["not restored in time", "ok", "ok"]
    [left_over] = report.left_over
    assert f"Not deleted, and paid for: {left_over}" in str(report)
    dynamodb.stuck = None
    assert drill(dynamodb).clean_up() == []
    assert dynamodb.list_tables()["TableNames"] == TABLES


def test_a_second_that_does_not_become_restorable_ends_the_drill(dynamodb: Recovering) -> None:
    dynamodb.lag = timedelta(days=1)
    with pytest.raises(DrillError, match="Not every table can be restored"):
        drill(dynamodb, patience_seconds=0.0).run()
    assert dynamodb.restores == []


def test_it_does_not_begin_where_recovery_is_off(dynamodb: Recovering) -> None:
    dynamodb.off = {JournalTable.Meta.table_name}
    with pytest.raises(DrillError, match="recovery is off: mailroom-local-journal"):
        drill(dynamodb).run()


def test_it_does_not_begin_over_what_an_earlier_drill_left(dynamodb: Recovering) -> None:
    left = f"{TimersTable.Meta.table_name}-drill-20260101"
    dynamodb.client.restore_table_to_point_in_time(
        SourceTableName=TimersTable.Meta.table_name, TargetTableName=left
    )
    with pytest.raises(DrillError, match=left):
        drill(dynamodb).run()
    assert drill(dynamodb).clean_up() == []
    assert dynamodb.list_tables()["TableNames"] == TABLES


def test_other_stages_are_left_alone(dynamodb: Recovering) -> None:
    with pytest.raises(DrillError, match="There is no table mailroom-staging-"):
        Drill(dynamodb, "staging").run()


def test_a_dry_run_restores_nothing(
    dynamodb: Recovering, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("boto3.client", lambda *_args, **_options: dynamodb)
    assert restore_drill.main(["--stage", "local", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == TABLES
    assert all("restorable 2026-01-01 00:00:00 to " in line for line in lines)
    assert dynamodb.restores == []


def test_a_dry_run_fails_where_the_drill_would(
    dynamodb: Recovering, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("boto3.client", lambda *_args, **_options: dynamodb)
    dynamodb.off = {"mailroom-local-gate"}
    assert restore_drill.main(["--stage", "local", "--dry-run"]) == 1
    captured = capsys.readouterr()
    assert "mailroom-local-gate: point-in-time recovery is off" in captured.out
    assert "Point-in-time recovery is off: mailroom-local-gate" in captured.err


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(SystemExit):
        restore_drill.main(["--stage", "moon"])
