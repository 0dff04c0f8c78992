"""The small things: ids, money, cursors, permissions, settings."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from typeid import TypeID

from kernel import clock, ids, pagination, permissions
from kernel.errors import InvalidCursorError, PermissionDeniedError
from kernel.money import CurrencyMismatchError, Money
from kernel.principals import Caller, Staff, System, Visitor
from kernel.settings import (
    KernelSettings,
    MisconfiguredError,
    Settings,
    load,
    resource_arn,
    resource_name,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
moments = st.integers(10**12, 4 * 10**12).map(
    lambda milliseconds: datetime.fromtimestamp(milliseconds / 1_000, UTC)
)


class TestIds:
    def test_ids_of_a_prefix_sort_by_time(self) -> None:
        made = [ids.new_id("usr") for _ in range(50)]
        assert made == sorted(made)
        assert len(set(made)) == 50

    def test_the_mode_of_a_tenant_is_in_its_id(self) -> None:
        assert ids.is_test_tenant(ids.new_tenant_id("test"))
        assert not ids.is_test_tenant(ids.new_tenant_id("live"))
        assert not ids.is_test_tenant("PLATFORM")

    @given(moments, st.lists(st.text(min_size=1), min_size=1, max_size=3))
    def test_a_derived_id_is_the_same_every_time(self, moment: datetime, parts: list[str]) -> None:
        derived = ids.derive_id("inv", moment, *parts)

        assert derived == ids.derive_id("inv", moment, *parts)
        assert derived != ids.derive_id("inv", moment, *parts, "more")
        assert TypeID.from_string(derived).uuid.version == 7

    @given(moments, moments)
    def test_derived_ids_sort_by_time(self, first: datetime, second: datetime) -> None:
        early, late = sorted((first, second))
        if late - early < timedelta(milliseconds=1):
            return
        assert ids.derive_id("inv", early, "z") < ids.derive_id("inv", late, "a")

    def test_parts_do_not_run_into_each_other(self) -> None:
        assert ids.derive_id("inv", NOON, "ab", "c") != ids.derive_id("inv", NOON, "a", "bc")

    @given(moments, st.text())
    def test_the_lowest_id_of_a_moment_is_below_all_others(
        self, moment: datetime, part: str
    ) -> None:
        lowest = ids.lowest_id("evt", moment)

        assert lowest <= ids.derive_id("evt", moment, part)
        before = ids.derive_id("evt", moment - timedelta(milliseconds=2), part)
        assert before < lowest

    @pytest.mark.parametrize("prefixes", [("usr",), ("tnt", "tnt_test")])
    def test_the_pattern_of_ids(self, prefixes: tuple[str, ...]) -> None:
        import re

        pattern = re.compile(ids.id_pattern(*prefixes))
        for prefix in prefixes:
            assert pattern.fullmatch(ids.new_id(prefix))
        for wrong in ("", "usr_", "usr_1", ids.new_id("key"), ids.new_id("usr") + "0", "usr_../x"):
            assert not pattern.fullmatch(wrong)


class TestMoney:
    def test_adds_and_negates(self) -> None:
        assert Money(amount=1250) + Money(amount=-50) == Money(amount=1200)
        assert -Money(amount=1250, currency="EUR") == Money(amount=-1250, currency="EUR")

    def test_currencies_do_not_mix(self) -> None:
        with pytest.raises(CurrencyMismatchError):
            Money(amount=1) + Money(amount=1, currency="EUR")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"amount": 12.5},
            {"amount": 12.0},
            {"amount": "12"},
            {"amount": True},
            {"amount": None},
            {"amount": 1, "currency": "usd"},
            {"amount": 1, "currency": "US"},
            {"amount": 1, "currency": "USD", "cents": 1},
            {},
        ],
    )
    def test_is_whole_minor_units(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Money.model_validate(wrong)

    @given(st.integers(), st.integers())
    def test_is_exact(self, first: int, second: int) -> None:
        assert (Money(amount=first) + Money(amount=second)).amount == first + second


class TestCursors:
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
    def test_lead_back_to_where_they_came_from(self, rest: str) -> None:
        cursor = pagination.encode_cursor(f"evt_{rest}")
        assert pagination.decode_cursor(cursor, prefix="evt_") == f"evt_{rest}"

    def test_none_is_none(self) -> None:
        assert pagination.encode_cursor(None) is None
        assert pagination.decode_cursor(None, prefix="evt_") is None

    @pytest.mark.parametrize(
        "wrong",
        [
            "",
            "%%%",
            "é",
            "AAAA",
            "evt_1",
            pagination.encode_cursor("evt_"),
            pagination.encode_cursor("KEY#1"),
            pagination.encode_cursor("evt_\x00"),
            "_____w==",
        ],
    )
    def test_of_another_list_are_refused(self, wrong: str) -> None:
        with pytest.raises(InvalidCursorError):
            pagination.decode_cursor(wrong, prefix="evt_")

    @given(st.text(max_size=40))
    def test_garbage_is_refused_or_harmless(self, garbage: str) -> None:
        try:
            found = pagination.decode_cursor(garbage, prefix="evt_")
        except InvalidCursorError:
            return
        assert found is not None
        assert found.startswith("evt_")


class TestPermissions:
    def test_no_role_holds_what_the_owner_does_not(self) -> None:
        owner = permissions.of_role("owner")
        for role in permissions.ROLES:
            for permission in permissions.of_role(role):
                assert permission in owner or permission.removesuffix(":own") in owner, role

    def test_an_unknown_role_holds_nothing(self) -> None:
        assert permissions.of_role("root") == frozenset()

    def test_only_what_is_held_can_be_handed_on(self) -> None:
        admin = permissions.of_role("admin")
        assert permissions.reaches(admin, frozenset({"members:read"}))
        assert not permissions.reaches(admin, frozenset({"members:read", "tenant:delete"}))

    def test_keys_manage_nothing(self) -> None:
        assert not [name for name in permissions.KEY_PERMISSIONS if ":write" in name]

    def test_a_permission_may_reach_only_what_is_ones_own(self) -> None:
        member = Caller(
            tenant_id="tnt_1", user_id="usr_1", permissions=frozenset({"api_keys:read:own"})
        )
        assert member.may("api_keys:read")
        assert member.owns_only("api_keys:read")
        member.require("api_keys:read")
        with pytest.raises(PermissionDeniedError, match="api_keys:write"):
            member.require("api_keys:write")


class TestPrincipals:
    def test_each_says_who_it_is(self) -> None:
        user = Caller(tenant_id="tnt_test_1", user_id="usr_1", ip="203.0.113.7")
        key = Caller(tenant_id="tnt_1", user_id="usr_1", kind="api_key", api_key_id="key_1")
        staff = Staff(staff_id="stf_1", session_id="ses_1")

        assert user.actor == {"type": "user", "id": "usr_1", "ip": "203.0.113.7"}
        assert key.actor == {"type": "api_key", "id": "key_1", "ip": ""}
        assert staff.actor == {"type": "staff", "id": "stf_1", "ip": ""}
        assert Visitor(ip="203.0.113.7").actor == {"type": "visitor", "ip": "203.0.113.7"}
        assert System(name="billing/charge").actor == {"type": "system", "id": "billing/charge"}
        assert (user.mode, key.mode) == ("test", "live")


class TestClock:
    @pytest.mark.parametrize(
        ("moment", "expected"),
        [
            (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
            (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
            (datetime(2028, 2, 29, 12, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        ],
    )
    def test_the_next_month_begins(self, moment: datetime, expected: datetime) -> None:
        assert clock.next_month(moment) == expected

    def test_a_live_tenants_time_is_the_real_one_and_costs_nothing(self) -> None:
        before = clock.wall()
        assert before <= clock.tenant("tnt_1") <= clock.wall()


class TestSettings:
    @pytest.fixture(autouse=True)
    def _fresh(self) -> Any:
        load.cache_clear()
        yield
        load.cache_clear()

    def test_are_read_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILROOM_STAGE", "staging")
        monkeypatch.setenv("MAILROOM_TOKEN_KEY_GENERATION", "7")

        assert load(KernelSettings).mailroom_token_key_generation == 7
        assert resource_name("gate") == "mailroom-staging-gate"

    def test_all_that_is_wrong_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class TestsSettings(Settings):
            harbour_url: str
            harbour_depth: int = Field(ge=1)

        monkeypatch.setenv("HARBOUR_DEPTH", "0")
        with pytest.raises(MisconfiguredError, match=r"HARBOUR_URL.*HARBOUR_DEPTH"):
            load(TestsSettings)

    def test_arns_name_account_and_region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("MAILROOM_ACCOUNT_ID", "111122223333")
        assert resource_arn("sqs", "queue") == "arn:aws:sqs:eu-west-1:111122223333:queue"


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    from kernel import errors

    classes = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.MailroomError)
    ]
    codes = [item.code for item in classes]
    assert len(set(codes)) == len(codes)
    assert all(400 <= item.status <= 503 for item in classes)
    for parent, child in itertools.product(classes, classes):
        if issubclass(child, parent) and parent is not errors.MailroomError:
            assert child.status == parent.status
