"""The kernel's background functions, with the events that AWS sends them."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from functions.kernel import (
    advance_test_clock,
    archive_journal,
    fire_due_timers,
    publish_events,
    republish_events,
    wait_until,
)
from kernel import aws, timers
from kernel.ids import lowest_id
from kernel.outbox import NotPublishedError
from kernel.settings import resource_name
from kernel.tables import ClockRecord, JournalRecord, TimerRecord
from tests.doubles import ACCOUNT, EventBus, StepFunctions

pytestmark = pytest.mark.usefixtures("tables")

TENANT = "tnt_01jd3v8m5ke5c8qv0m5w6r3x2y"
TEST_TENANT = "tnt_test_01jd3v8m5ke5c8qv0m5w6r3x2y"
SAMPLES = Path(__file__).parents[3] / "events" / "kernel"


def sample(function: str, case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / function / f"{case}.json").read_text())
    return found


class TestPublishEvents:
    def test_publishes_what_the_stream_brings(self, bus: EventBus) -> None:
        publish_events.handler(sample("publish_events", "tenant_registered"), None)

        [event] = bus.take()
        assert event["detail-type"] == "identity.tenant_registered"
        assert event["detail"]["company_name"] == "Analytical Engines"

    def test_a_bus_that_refuses_fails_the_batch(self, bus: EventBus) -> None:
        bus.refuses = True
        with pytest.raises(NotPublishedError):
            publish_events.handler(sample("publish_events", "tenant_registered"), None)

    def test_counts_for_the_subscribers_of_the_tree(self, bus: EventBus) -> None:
        text = json.dumps(sample("publish_events", "tenant_registered"))
        publish_events.handler(json.loads(text.replace(TENANT, TEST_TENANT)), None)

        record = ClockRecord.find(TEST_TENANT)
        expected = publish_events.SUBSCRIBERS.get("identity.tenant_registered", [])
        assert record is not None
        assert set(record.busy or ()) == {
            f"event/evt_01jd3v8m5ke5c8qv0m5w6r3x2y/{name}" for name in expected
        }


class TestArchiveJournal:
    @pytest.fixture
    def bucket(self) -> str:
        name = f"{resource_name('audit')}-{ACCOUNT}"
        aws.client("s3").create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        return name

    def objects(self, bucket: str) -> dict[str, list[dict[str, Any]]]:
        s3 = aws.client("s3")
        found = {}
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            found[item["Key"]] = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        return found

    def test_writes_facts_by_tenant_and_day(self, bucket: str) -> None:
        archive_journal.handler(sample("archive_journal", "tenant_registered"), None)

        key = f"{TENANT}/2026/11/20/evt_01jd3v8m5ke5c8qv0m5w6r3x2y.json.gz"
        found = self.objects(bucket)
        assert list(found) == [key]
        [fact] = found[key]
        assert fact["event"]["company_name"] == "Analytical Engines"
        assert fact["audit"]["actor"] == {"type": "visitor", "ip": "203.0.113.7"}

    def test_writing_again_loses_nothing(self, bucket: str) -> None:
        for _ in range(2):
            archive_journal.handler(sample("archive_journal", "tenant_registered"), None)

        assert len(self.objects(bucket)) == 1

    def test_an_archive_that_is_missing_fails_the_batch(self) -> None:
        with pytest.raises(Exception, match="bucket"):
            archive_journal.handler(sample("archive_journal", "tenant_registered"), None)


class TestWaitUntil:
    def test_arms_a_timer_with_the_token(self) -> None:
        wait_until.handler(sample("wait_until", "trial_end"), None)

        timer = TimerRecord.find(TEST_TENANT, "sub_01jd3v8m5ke5c8qv0m5w6r3x2y", "trial-end")
        assert timer is not None
        assert timer.due_at == datetime(2026, 11, 27, 11, 15, tzinfo=UTC)
        assert str(timer.task_token).startswith("AQCEAAAA")

    @pytest.mark.parametrize(
        "wrong", [{"due_at": "2026-11-27T11:15:00"}, {"due_at": None}, {"x": 1}]
    )
    def test_a_wrong_wait_fails_the_task(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            wait_until.handler(sample("wait_until", "trial_end") | wrong, None)


class TestFireDueTimers:
    def test_fires_up_to_the_minute_of_the_rule(self, step_functions: StepFunctions) -> None:
        minute = datetime(2026, 11, 20, 11, 15, tzinfo=UTC)
        for name, due in (("due", minute), ("later", minute + timedelta(minutes=1))):
            timers.arm(TENANT, "sub_1", name, due, task_token=name)
            record = TimerRecord.find(TENANT, "sub_1", name)
            assert record is not None
            timers.reindex(record, TimerRecord.minute_partition(due))

        fire_due_timers.handler(sample("fire_due_timers", "every_minute"), None)
        assert [token for token, _ in step_functions.woken] == ["due"]


class TestAdvanceTestClock:
    def test_moves_the_clock_of_the_message(self) -> None:
        now = datetime(2026, 11, 20, tzinfo=UTC)
        record = ClockRecord.for_tenant(TEST_TENANT, now=now, status="advancing")
        record.target = now + timedelta(days=3)
        record.save()
        response = advance_test_clock.handler(sample("advance_test_clock", "advance"), None)

        assert response == {"batchItemFailures": []}
        moved = ClockRecord.find(TEST_TENANT)
        assert moved is not None
        assert (moved.now, moved.status) == (now + timedelta(days=3), "ready")

    def test_takes_one_clock_at_a_time(self) -> None:
        assert (advance_test_clock.handler.queue, advance_test_clock.handler.batch_size) == (
            "clock-advance",
            1,
        )


class TestRepublishEvents:
    def test_sends_what_the_journal_holds(self, bus: EventBus) -> None:
        occurred = datetime(2026, 11, 20, 11, 15, tzinfo=UTC)
        JournalRecord(
            JournalRecord.partition(TENANT, occurred),
            lowest_id("evt", occurred),
            tenant_id=TENANT,
            occurred_at=occurred,
            subject="sub_1",
            event_type="billing.invoice_paid",
            event="{}",
            audit={},
        ).save()
        result = republish_events.handler(sample("republish_events", "a_day"), None)

        assert result == {"published": 1, "after": None}
        assert len(bus.take()) == 1
