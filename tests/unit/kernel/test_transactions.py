import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pynamodb.attributes import NumberAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.exceptions import CancellationReason, TransactWriteError, VerboseClientError

from contracts.events import PLATFORM, Event
from kernel import clock
from kernel.errors import ConflictError, UnavailableError, VersionConflictError
from kernel.principals import Caller, IdempotencyKey, Principal, System, Visitor
from kernel.tables import ClockRecord, IdempotencyRecord, JournalRecord, TimersTable, find
from kernel.transactions import CHANGED, IdempotencyRaceError, Transaction
from tests.callers import make_caller, make_tenant

pytestmark = pytest.mark.usefixtures("tables")

ACTOR = System(name="kernel/tests")


class BoatRecord(TimersTable, discriminator="boat"):
    name = UnicodeAttribute()
    sails = NumberAttribute(default=0)
    version = VersionAttribute()


class BoatSailed(Event, type="tests.boat_sailed"):
    name: str


class BoatExistsError(ConflictError):
    code = "tests.boat_exists"


def boat(name: str = "Argo", key: str = "boat_1") -> BoatRecord:
    return BoatRecord("harbour", key, name=name)


def sailed(tenant_id: str) -> BoatSailed:
    return BoatSailed(tenant_id=tenant_id, subject="boat_1", occurred_at=clock.wall(), name="Argo")


def run(
    tenant_id: str | None, *writes: Callable[[Transaction], None], actor: Principal = ACTOR
) -> None:
    with Transaction(actor, tenant_id) as transaction:
        for write in writes:
            write(transaction)


def facts() -> list[JournalRecord]:
    return list(JournalRecord.scan())


class TestWriting:
    def test_all_of_it_is_written_or_nothing(self) -> None:
        boat().save()
        with pytest.raises(BoatExistsError):
            run(
                "tnt_1",
                lambda tx: tx.save(boat(key="boat_2")),
                lambda tx: tx.emit(sailed("tnt_1")),
                lambda tx: tx.create(boat(), conflict=BoatExistsError()),
            )

        assert find(BoatRecord, "harbour", "boat_2") is None
        assert facts() == []

    def test_an_exception_inside_writes_nothing(self) -> None:
        def fail(_transaction: Transaction) -> None:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            run("tnt_1", lambda tx: tx.save(boat()), fail)

        assert find(BoatRecord, "harbour", "boat_1") is None

    def test_an_empty_transaction_is_no_call(self) -> None:
        with Transaction(ACTOR, "tnt_1"):
            pass

    def test_of_two_who_changed_what_they_read_one_loses(self) -> None:
        boat().save()
        first, second = (find(BoatRecord, "harbour", "boat_1") for _ in range(2))
        assert first is not None
        assert second is not None
        with Transaction(ACTOR) as transaction:
            first.name = "First"
            transaction.save(first)
        second.name = "Second"
        with pytest.raises(VersionConflictError):
            run(None, lambda tx: tx.save(second))

        kept = find(BoatRecord, "harbour", "boat_1")
        assert kept is not None
        assert kept.name == "First"

    def test_a_record_can_be_saved_again_after_the_commit(self) -> None:
        record = boat()
        for name in ("One", "Two", "Three"):
            record.name = name
            with Transaction(ACTOR) as transaction:
                transaction.save(record)

        assert record.version == 3
        kept = find(BoatRecord, "harbour", "boat_1")
        assert kept is not None
        assert (kept.name, kept.version) == ("Three", 3)

    def test_each_write_has_its_own_conflict(self) -> None:
        boat(key="boat_1").save()
        errors = [type(f"Conflict{number}Error", (ConflictError,), {}) for number in range(4)]
        missing = boat(key="missing")
        cases: list[Any] = [
            lambda tx: tx.check(missing, BoatRecord.pk.exists(), conflict=errors[0]()),
            lambda tx: tx.delete(missing, condition=BoatRecord.pk.exists(), conflict=errors[1]()),
            lambda tx: tx.create(boat(key="boat_1"), conflict=errors[2]()),
            lambda tx: tx.update(
                missing,
                [BoatRecord.sails.set(1)],
                condition=BoatRecord.pk.exists(),
                conflict=errors[3](),
            ),
        ]
        for add, expected in zip(cases, errors, strict=True):
            with pytest.raises(expected):
                run(
                    None,
                    lambda tx: tx.save(boat(key="other")),
                    lambda tx: tx.update(boat(key="third"), [BoatRecord.sails.set(1)]),
                    add,
                )

    def test_updates_and_deletes_need_no_read(self) -> None:
        boat(key="boat_1").save()
        boat(key="boat_2").save()
        with Transaction(ACTOR) as transaction:
            transaction.update(boat(key="boat_1"), [BoatRecord.sails.set(3)])
            transaction.delete(boat(key="boat_2"))

        kept = find(BoatRecord, "harbour", "boat_1")
        assert kept is not None
        assert kept.sails == 3
        assert find(BoatRecord, "harbour", "boat_2") is None


class TestContention:
    @pytest.fixture(autouse=True)
    def _without_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kernel.transactions.time.sleep", lambda _: None)

    @pytest.fixture
    def connection(self) -> Any:
        return JournalRecord._get_connection().connection

    def test_a_transaction_that_collided_is_tried_again(
        self, connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts = self._collide(connection, monkeypatch, times=2)
        with Transaction(ACTOR) as transaction:
            transaction.save(boat())

        assert len(attempts) == 3
        assert find(BoatRecord, "harbour", "boat_1") is not None

    def test_the_attempts_have_one_token_so_that_none_counts_twice(
        self, connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts = self._collide(connection, monkeypatch, times=2)
        with Transaction(ACTOR) as transaction:
            transaction.save(boat())

        assert len(set(attempts)) == 1
        assert attempts[0]

    def test_one_that_keeps_colliding_is_a_503(
        self, connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._collide(connection, monkeypatch, times=100)
        with pytest.raises(UnavailableError), Transaction(ACTOR) as transaction:
            transaction.save(boat())

    def test_what_is_no_conflict_is_passed_on(
        self, connection: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._collide(connection, monkeypatch, times=1, code="ValidationError")
        with pytest.raises(TransactWriteError), Transaction(ACTOR) as transaction:
            transaction.save(boat())

    @staticmethod
    def _collide(
        connection: Any,
        monkeypatch: pytest.MonkeyPatch,
        *,
        times: int,
        code: str = "TransactionConflict",
    ) -> list[Any]:
        attempts: list[Any] = []
        real = connection.transact_write_items

        def write(**request: Any) -> Any:
            attempts.append(request.get("client_request_token"))
            if len(attempts) > times:
                return real(**request)
            cause = VerboseClientError(
                {"Error": {"Code": "TransactionCanceledException"}},
                "TransactWriteItems",
                {},
                cancellation_reasons=[CancellationReason(code=code, message="")],
            )
            raise TransactWriteError("cancelled", cause)

        monkeypatch.setattr(connection, "transact_write_items", write)
        return attempts


class TestOutboxAndAudit:
    def test_event_and_audit_are_one_item(self) -> None:
        tenant_id = make_tenant("live")
        caller = make_caller(tenant_id, ip="203.0.113.7")
        now = datetime(2026, 11, 20, tzinfo=UTC)
        event = sailed(tenant_id)
        with Transaction(caller, at=now) as transaction:
            transaction.emit(event, changes={"name": "Argo", "password": CHANGED})

        [fact] = facts()
        assert fact.pk == f"{tenant_id}#{clock.wall():%Y-%m}"
        assert (fact.sk, fact.subject, fact.event_type) == (
            event.id,
            "boat_1",
            "tests.boat_sailed",
        )
        assert fact.occurred_at == now
        assert BoatSailed.model_validate_json(fact.event) == event
        assert fact.audit == {
            "action": "tests.boat_sailed",
            "actor": {"type": "user", "id": caller.user_id, "ip": "203.0.113.7"},
            "changes": {"name": "Argo", "password": "changed"},
        }

    def test_an_entry_of_the_audit_log_alone_is_no_event(self) -> None:
        with Transaction(Visitor(ip="203.0.113.7"), "tnt_1") as transaction:
            transaction.note("boat.looked_at", "boat_1")

        [fact] = facts()
        assert fact.event is None
        assert fact.event_type is None
        assert fact.sk.startswith("evt_")
        assert fact.audit["actor"] == {"type": "visitor", "ip": "203.0.113.7"}

    def test_an_event_belongs_to_the_transactions_tenant(self) -> None:
        with pytest.raises(ValueError, match="another tenant"), Transaction(ACTOR, "tnt_1") as tx:
            tx.emit(sailed("tnt_2"))

    def test_facts_of_nobody_belong_to_the_platform(self) -> None:
        with Transaction(ACTOR) as transaction:
            transaction.note("platform.looked_at", "itself")

        assert facts()[0].tenant_id == PLATFORM

    def test_facts_are_read_by_month_newest_first(self) -> None:
        for number in range(5):
            with Transaction(ACTOR, "tnt_1") as transaction:
                transaction.note("boat.looked_at", f"boat_{number}")
        first, cursor = JournalRecord.page("tnt_1", clock.wall(), limit=3)
        second, end = JournalRecord.page("tnt_1", clock.wall(), limit=3, cursor=cursor)

        assert [fact.subject for fact in first + second] == [
            f"boat_{number}" for number in (4, 3, 2, 1, 0)
        ]
        assert end is None


class TestIdempotency:
    @staticmethod
    def caller(key: str | None = "key-1", body: str = "hash") -> Caller:
        request = IdempotencyKey(key, "POST /v1/boats", body) if key else None
        return make_caller("tnt_1", idempotency=request)

    def test_a_key_is_remembered_with_what_it_made(self) -> None:
        with Transaction(self.caller()) as transaction:
            transaction.remember("boat_1")

        keys = IdempotencyRecord.keys("tnt_1", "POST /v1/boats", "key-1")
        record = find(IdempotencyRecord, *keys)
        assert record is not None
        assert (record.resource_id, record.body_hash) == ("boat_1", "hash")
        assert record.expires_at is not None
        assert (record.expires_at - clock.wall()).total_seconds() > 23 * 3_600

    def test_money_is_remembered_always(self) -> None:
        with Transaction(self.caller()) as transaction:
            transaction.remember("invoice_1", keep="always")

        record = find(
            IdempotencyRecord, *IdempotencyRecord.keys("tnt_1", "POST /v1/boats", "key-1")
        )
        assert record is not None
        assert record.expires_at is None

    def test_without_a_key_there_is_nothing_to_remember(self) -> None:
        with Transaction(self.caller(None)) as transaction:
            transaction.remember("boat_1")
        with Transaction(ACTOR) as transaction:
            transaction.remember("boat_1")

        assert list(IdempotencyRecord.scan()) == []

    def test_a_twin_that_was_quicker_is_told_apart_from_other_conflicts(self) -> None:
        with Transaction(self.caller()) as transaction:
            transaction.remember("boat_1")
        with pytest.raises(IdempotencyRaceError):
            run(
                None,
                lambda tx: tx.save(boat(key="boat_2")),
                lambda tx: tx.remember("boat_2"),
                actor=self.caller(),
            )

        assert find(BoatRecord, "harbour", "boat_2") is None


class TestCounting:
    def test_an_event_is_counted_with_the_change_that_emits_it(self) -> None:
        tenant_id = make_tenant("test")
        event = sailed(tenant_id)
        with Transaction(ACTOR, tenant_id) as transaction:
            transaction.emit(event)
            transaction.busy("flow/one")

        record = ClockRecord.find(tenant_id)
        assert record is not None
        assert record.busy == {f"event/{event.id}", "flow/one"}

    def test_taking_work_back_leaves_no_empty_set(self) -> None:
        tenant_id = make_tenant("test")
        with Transaction(ACTOR, tenant_id) as transaction:
            transaction.busy("a", "b")
        for _ in range(2):
            with Transaction(ACTOR, tenant_id) as transaction:
                transaction.idle("a", "b", "never there")

        record = ClockRecord.find(tenant_id)
        assert record is not None
        assert record.busy is None

    def test_live_tenants_are_not_counted(self) -> None:
        tenant_id = make_tenant("live")
        with Transaction(ACTOR, tenant_id) as transaction:
            transaction.emit(sailed(tenant_id))
            transaction.busy("flow/one")

        assert ClockRecord.find(tenant_id) is None

    def test_a_transaction_either_starts_work_or_ends_it(self) -> None:
        with pytest.raises(ValueError, match="either"):
            run(make_tenant("test"), lambda tx: tx.busy("a"), lambda tx: tx.idle("b"))

    def test_a_failed_transaction_counts_nothing(self) -> None:
        tenant_id = make_tenant("test")
        boat().save()
        with pytest.raises(VersionConflictError):
            run(tenant_id, lambda tx: tx.create(boat()), lambda tx: tx.busy("a"))

        assert ClockRecord.find(tenant_id) is None


def test_threads_share_no_transaction() -> None:
    def work(number: int) -> None:
        with Transaction(ACTOR, "tnt_1") as transaction:
            transaction.save(boat(key=f"boat_{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list(BoatRecord.scan())) == 8
