from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from kernel import clock, gate
from kernel.errors import (
    MailroomError,
    QuotaExceededError,
    TenantSuspendedError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
)
from kernel.gate import Access, Admission
from kernel.ids import new_id
from kernel.tables import GateRecord, GateTable, KeyRecord
from tests.callers import make_tenant

pytestmark = pytest.mark.usefixtures("tables")

USER, SESSION = "usr_1", "ses_1"
NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)


class Time:
    """The wall clock of the gate, which a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(clock, "wall", lambda: found.now)
    return found


def admit_user(
    tenant_id: str,
    user: str = USER,
    session: str = SESSION,
    *,
    issued: datetime = NOON,
    access: Access = Access.CLOSED,
) -> Admission:
    return gate.admit_user(tenant_id, user, session, issued.timestamp(), "GET /v1/me", access)


def admit_key(tenant_id: str, *, access: Access = Access.CLOSED) -> Admission:
    return gate.admit_key(tenant_id, "key_1", "GET /v1/me", access)


def item_of(tenant_id: str) -> dict[str, Any]:
    response = gate._client().get_item(
        TableName=GateTable.Meta.table_name, Key=gate._key(tenant_id), ConsistentRead=True
    )
    found: dict[str, Any] = response["Item"]
    return found


def set_attributes(tenant_id: str, *actions: Any) -> None:
    GateRecord.for_tenant(tenant_id).update(actions=list(actions))


def revoke(tenant_id: str, subject: str, at: datetime) -> None:
    gate._client().update_item(
        TableName=GateTable.Meta.table_name,
        Key=gate._key(tenant_id),
        UpdateExpression="SET revoked.#subject = :died",
        ExpressionAttributeNames={"#subject": subject},
        ExpressionAttributeValues={":died": {"N": str(int(at.timestamp() * 1000))}},
    )


class TestWindows:
    def test_a_call_says_what_its_window_still_allows(self, time: Time) -> None:
        tenant_id = make_tenant(limit_user_minute=5)
        admit_user(tenant_id)

        assert admit_user(tenant_id).headers == {
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": "3",
            "X-RateLimit-Reset": str(int(NOON.timestamp()) + 30),
        }

    def test_an_unlimited_window_says_nothing(self, time: Time) -> None:
        assert admit_key(make_tenant()).headers == {}

    def test_a_user_is_limited_by_the_minute(self, time: Time) -> None:
        tenant_id = make_tenant(limit_user_minute=2)
        admit_user(tenant_id)
        admit_user(tenant_id)

        with pytest.raises(TooManyRequestsError) as caught:
            admit_user(tenant_id)
        assert caught.value.headers["Retry-After"] == "30"
        assert caught.value.headers["X-RateLimit-Remaining"] == "0"
        admit_user(tenant_id, "usr_2")
        time.pass_by(seconds=30)
        admit_user(tenant_id)

    def test_a_tenants_users_are_limited_together(self, time: Time) -> None:
        tenant_id = make_tenant(limit_tenant_minute=3)
        for user in ("usr_1", "usr_2", "usr_3"):
            admit_user(tenant_id, user)

        with pytest.raises(TooManyRequestsError, match="limit_tenant_minute"):
            admit_user(tenant_id, "usr_4")

    @pytest.mark.parametrize(
        ("limit", "window", "retry_after"),
        [
            ("limit_key_minute", timedelta(minutes=1), 30),
            ("limit_key_hour", timedelta(hours=1), 3_570),
            ("limit_key_day", timedelta(days=1), 12 * 3_600 - 30),
        ],
    )
    def test_keys_are_limited_by_minute_hour_and_day(
        self, time: Time, limit: str, window: timedelta, retry_after: int
    ) -> None:
        limits: dict[str, Any] = {limit: 2}
        tenant_id = make_tenant(**limits)
        admit_key(tenant_id)
        admit_key(tenant_id)

        with pytest.raises(TooManyRequestsError, match=limit) as caught:
            admit_key(tenant_id)
        assert caught.value.headers["Retry-After"] == str(retry_after)
        time.now += window
        admit_key(tenant_id)

    def test_a_quota_holds_for_a_month(self, time: Time) -> None:
        tenant_id = make_tenant("live", limit_month=1)
        admit_key(tenant_id)

        with pytest.raises(QuotaExceededError) as caught:
            admit_key(tenant_id)
        end_of_month = datetime(2026, 12, 1, tzinfo=UTC) - NOON
        assert caught.value.headers["Retry-After"] == str(int(end_of_month.total_seconds()))
        time.now = datetime(2026, 12, 1, tzinfo=UTC)
        admit_key(tenant_id)

    def test_a_limit_of_nothing_admits_nothing(self, time: Time) -> None:
        with pytest.raises(QuotaExceededError):
            admit_key(make_tenant(limit_month=0))

    def test_a_refused_call_is_counted_nowhere(self, time: Time) -> None:
        tenant_id = make_tenant(limit_key_minute=10, limit_month=1)
        admit_key(tenant_id)
        before = item_of(tenant_id)
        with pytest.raises(QuotaExceededError):
            admit_key(tenant_id)

        assert item_of(tenant_id) == before

    def test_calls_of_users_are_not_metered(self, time: Time) -> None:
        tenant_id = make_tenant(limit_key_minute=1, limit_month=1)
        for _ in range(3):
            admit_user(tenant_id)

        assert gate.count_month(tenant_id, "2026-11") == 0
        admit_key(tenant_id)
        assert gate.count_month(tenant_id, "2026-11") == 1

    def test_a_month_without_calls_counts_nothing(self, time: Time) -> None:
        assert gate.count_month("tnt_unknown", "2026-11") == 0


class TestRefusals:
    def test_an_unknown_tenant_is_not_authenticated(self) -> None:
        with pytest.raises(UnauthenticatedError):
            admit_user(new_id("tnt"))
        with pytest.raises(UnauthenticatedError):
            admit_key(new_id("tnt"))
        with pytest.raises(UnauthenticatedError):
            admit_user(new_id("tnt"), access=Access.OPEN)

    @pytest.mark.parametrize("reason", ["payment", "abuse", "blacklisted", "terms"])
    @pytest.mark.parametrize("access", list(Access))
    def test_a_suspension_closes_what_its_reason_closes(self, reason: str, access: Access) -> None:
        tenant_id = make_tenant(status=reason)
        is_open = access is Access.OPEN or (access is Access.CURE and reason == "payment")
        for admit in (admit_user, admit_key):
            if is_open:
                admit(tenant_id, access=access)
                continue
            with pytest.raises(TenantSuspendedError) as caught:
                admit(tenant_id, access=access)
            assert caught.value.problem_code == f"tenant.suspended_{reason}"

    def test_tokens_from_before_a_revocation_are_dead(self, time: Time) -> None:
        tenant_id = make_tenant()
        revoke(tenant_id, USER, NOON)

        for issued in (NOON - timedelta(minutes=5), NOON):
            with pytest.raises(UnauthenticatedError, match="session has ended"):
                admit_user(tenant_id, issued=issued)
        admit_user(tenant_id, issued=NOON + timedelta(milliseconds=1))
        admit_user(tenant_id, "usr_2", issued=NOON)

    @pytest.mark.parametrize("microsecond", [0, 1_000, 748_580, 999_999])
    def test_no_token_outlives_a_revocation_in_its_own_millisecond(
        self, time: Time, microsecond: int
    ) -> None:
        tenant_id = make_tenant()
        moment = NOON.replace(microsecond=microsecond)
        revoke(tenant_id, USER, moment)

        whole = datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)
        with pytest.raises(UnauthenticatedError):
            admit_user(tenant_id, issued=whole)
        admit_user(tenant_id, issued=whole + timedelta(milliseconds=1))

    def test_a_session_that_ended_is_dead_for_good(self, time: Time) -> None:
        tenant_id = make_tenant()
        revoke(tenant_id, SESSION, NOON)

        with pytest.raises(UnauthenticatedError):
            admit_user(tenant_id, issued=NOON + timedelta(minutes=5))
        admit_user(tenant_id, session="ses_2")

    def test_suspension_is_told_before_rate(self, time: Time) -> None:
        tenant_id = make_tenant(limit_user_minute=0, status="abuse")
        with pytest.raises(TenantSuspendedError):
            admit_user(tenant_id)

    def test_revocation_is_told_before_suspension(self, time: Time) -> None:
        tenant_id = make_tenant(status="abuse")
        revoke(tenant_id, USER, NOON)
        with pytest.raises(UnauthenticatedError):
            admit_user(tenant_id)

    @pytest.mark.parametrize(("conflicts", "admitted"), [(2, True), (3, False)])
    def test_a_transaction_on_the_item_is_waited_out(
        self, monkeypatch: pytest.MonkeyPatch, conflicts: int, admitted: bool
    ) -> None:
        real, sent = gate._client(), []

        class Contended:
            def update_item(self, **request: Any) -> Any:
                sent.append(request)
                if len(sent) <= conflicts:
                    error = {"Error": {"Code": "TransactionConflictException"}}
                    raise ClientError(error, "UpdateItem")
                return real.update_item(**request)

        tenant_id = make_tenant()
        monkeypatch.setattr(gate, "_client", Contended)
        if admitted:
            assert admit_user(tenant_id).remaining == 99
        else:
            with pytest.raises(UnavailableError):
                admit_user(tenant_id)
        assert len(sent) == 3

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (ClientError({"Error": {"Code": "ThrottlingException"}}, ""), TooManyRequestsError),
            (
                ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, ""),
                TooManyRequestsError,
            ),
            (ClientError({"Error": {"Code": "InternalServerError"}}, ""), UnavailableError),
            (ConnectTimeoutError(endpoint_url="https://dynamodb"), UnavailableError),
        ],
    )
    def test_a_database_that_fails_is_no_500(
        self, monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: type[MailroomError]
    ) -> None:
        class Failing:
            def update_item(self, **request: Any) -> None:
                raise fault

        tenant_id = make_tenant()
        monkeypatch.setattr(gate, "_client", Failing)
        for attempt in (
            lambda: admit_user(tenant_id),
            lambda: admit_key(tenant_id),
            lambda: gate.limit_visitors("ip", "203.0.113.7", limit=1),
        ):
            with pytest.raises(expected):
                attempt()


class TestMonthOfATestClock:
    def test_calls_count_for_the_month_of_the_clock(self, time: Time) -> None:
        tenant_id = make_tenant("test", clock_month="2027-02", limit_month=2)
        admit_key(tenant_id)
        admit_key(tenant_id)

        assert gate.count_month(tenant_id, "2027-02") == 2
        with pytest.raises(QuotaExceededError):
            admit_key(tenant_id)
        set_attributes(tenant_id, GateRecord.clock_month.set("2027-03"))
        admit_key(tenant_id)
        assert gate.count_month(tenant_id, "2027-03") == 1

    def test_without_a_clock_they_count_for_the_real_month(self, time: Time) -> None:
        tenant_id = make_tenant("test")
        admit_key(tenant_id)

        assert gate.count_month(tenant_id, "2026-11") == 1

    def test_a_clock_that_moves_between_two_attempts_is_no_500(
        self, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant_id = make_tenant("test", clock_month="2027-01")
        months = iter(["2027-02", "2027-03", "2027-04", "2027-05"])
        real = gate._reason

        def racing(*arguments: Any) -> Exception:
            reason = real(*arguments)
            set_attributes(tenant_id, GateRecord.clock_month.set(next(months)))
            return reason

        monkeypatch.setattr(gate, "_reason", racing)
        with pytest.raises(UnavailableError):
            admit_key(tenant_id)

    def test_a_live_tenant_has_no_clock(self, time: Time) -> None:
        tenant_id = make_tenant("live", clock_month="2027-02")
        admit_key(tenant_id)

        assert gate.count_month(tenant_id, "2026-11") == 1


class TestForgetting:
    def test_old_windows_go_and_the_last_stays(self, time: Time) -> None:
        tenant_id = make_tenant()
        for _ in range(12):
            admit_user(tenant_id)
            admit_key(tenant_id)
            time.pass_by(minutes=1)
        admit_user(tenant_id)
        item = item_of(tenant_id)
        minutes = sorted(name for name in item if name[0] == "t" and name[1:].isdigit())

        assert len(minutes) < 9
        assert f"t{int(time.now.timestamp()) // 60}" in minutes
        assert f"t{int(time.now.timestamp()) // 60 - 1}" in minutes
        assert "p2026-11" in item

    def test_months_stay_for_the_invoice(self, time: Time) -> None:
        tenant_id = make_tenant("live")
        for _ in range(14):
            admit_key(tenant_id)
            time.pass_by(days=31)
        item = item_of(tenant_id)

        assert len([name for name in item if name.startswith("p20")]) == 14

    def test_revocations_are_forgotten_when_no_token_can_be_that_old(self, time: Time) -> None:
        tenant_id = make_tenant()
        for number in range(10):
            revoke(tenant_id, f"usr_old_{number}", NOON - timedelta(hours=2))
        revoke(tenant_id, "usr_new", NOON)
        admit_user(tenant_id)

        assert set(item_of(tenant_id)["revoked"]["M"]) == {"usr_new"}

    def test_failing_to_forget_refuses_nobody(
        self, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant_id = make_tenant()
        for number in range(10):
            revoke(tenant_id, f"usr_old_{number}", NOON - timedelta(hours=2))
        real = gate._client()

        class Failing:
            def update_item(self, **request: Any) -> Any:
                if request["UpdateExpression"].startswith("REMOVE"):
                    raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")
                return real.update_item(**request)

        monkeypatch.setattr(gate, "_client", Failing)
        assert admit_user(tenant_id).limit == 100


class TestVisitors:
    def test_are_limited_by_what_they_are_known_by(self, time: Time) -> None:
        for _ in range(3):
            gate.limit_visitors("ip", "203.0.113.7", limit=3)

        with pytest.raises(TooManyRequestsError) as caught:
            gate.limit_visitors("ip", "203.0.113.7", limit=3)
        assert caught.value.headers == {"Retry-After": "30"}
        gate.limit_visitors("ip", "203.0.113.8", limit=3)
        time.pass_by(minutes=1)
        gate.limit_visitors("ip", "203.0.113.7", limit=3)

    def test_a_window_may_be_longer(self, time: Time) -> None:
        gate.limit_visitors("address", "a", limit=1, window_seconds=3_600)
        time.pass_by(minutes=59)
        with pytest.raises(TooManyRequestsError):
            gate.limit_visitors("address", "a", limit=1, window_seconds=3_600)


class TestRequireActive:
    def test_outward_effects_need_an_active_tenant(self) -> None:
        gate.require_active(make_tenant())
        with pytest.raises(TenantSuspendedError):
            gate.require_active(make_tenant(status="payment"))

    def test_what_cures_a_suspension_is_allowed(self) -> None:
        gate.require_active(make_tenant(status="payment"), access=Access.CURE)
        gate.require_active(make_tenant(status="abuse"), access=Access.OPEN)
        with pytest.raises(TenantSuspendedError):
            gate.require_active(make_tenant(status="abuse"), access=Access.CURE)

    def test_an_unknown_tenant_is_not_active(self) -> None:
        with pytest.raises(UnauthenticatedError):
            gate.require_active("tnt_unknown")


def test_a_key_is_found_by_its_hash_and_expires_on_time() -> None:
    record = KeyRecord.for_secret(
        "hash",
        tenant_id="tnt_1",
        key_id="key_1",
        user_id=USER,
        expires_at=clock.wall() - timedelta(seconds=1),
    )
    record.save()
    found = gate.find_key("hash")

    assert found is not None
    assert found.has_expired
    assert gate.find_key("another") is None
