import base64
import gzip
import json
from datetime import timedelta
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from kernel import clock, gate
from kernel.authentication import PLATFORM_GATE, hash_secret
from kernel.errors import ConflictError, NotFoundError, UnavailableError
from kernel.gate import Access
from kernel.http import MAXIMUM_BODY_BYTES, Caller, Staff, Visitor, endpoint
from kernel.ids import id_pattern, new_id
from kernel.pagination import Cursor, Limit, Page
from kernel.settings import load
from kernel.tables import GateRecord, IdempotencyRecord, KeyRecord, TimersTable, find
from kernel.tokens import sign
from kernel.transactions import Transaction
from tests.callers import Answer, bearer, call, http_event, make_tenant

pytestmark = pytest.mark.usefixtures("tables", "keys")


class NewShip(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=50)
    masts: int = Field(default=1, ge=1)


class Ship(BaseModel):
    id: str
    name: str
    secret: str | None = None


class ShipRecord(TimersTable, discriminator="ship"):
    pass


class ShipSunkError(ConflictError):
    code, title = "tests.ship_sunk", "The ship has sunk"


seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def replay(caller: Caller, ship_id: str) -> Ship:
    return Ship(id=ship_id, name="as it is now")


@endpoint("POST", "/v1/ships", permission="ships:write", status=201, replay=replay)
def create_ship(caller: Caller, body: NewShip) -> Ship:
    ship_id = new_id("shp")
    with Transaction(caller) as transaction:
        transaction.create(ShipRecord(caller.tenant_id, ship_id))
        transaction.remember(ship_id)
    seen.append((caller, body))
    return Ship(id=ship_id, name=body.name, secret="shown once")


@endpoint("GET", "/v1/ships/{ship_id}")
def read_ship(caller: Caller, ship_id: Annotated[str, Path(pattern=id_pattern("shp"))]) -> Ship:
    raise NotFoundError("There is no such ship.")


@endpoint("GET", "/v1/ships")
def list_ships(caller: Caller, limit: Limit = 2, cursor: Cursor = None) -> Page[Ship]:
    return Page(data=[], next_cursor=cursor)


@endpoint("DELETE", "/v1/ships/{ship_id}", status=204)
def sink_ship(caller: Caller, ship_id: str) -> None:
    seen.append(ship_id)


@endpoint("POST", "/v1/ships/{ship_id}/sink", errors=(ShipSunkError,), access=Access.CURE)
def fail(caller: Caller, ship_id: str) -> Ship:
    faults: dict[str, Exception] = {
        "conflict": ShipSunkError("It lies on the ground."),
        "bug": RuntimeError("password=hunter2"),
        "outage": UnavailableError(),
    }
    raise faults[ship_id]


@endpoint("GET", "/v1/wrong")
def answer_wrongly(caller: Caller) -> Ship:
    return {"secret": "leaked"}  # type: ignore[return-value]


class Letter(BaseModel):
    email: str


@endpoint("POST", "/v1/letters", status=202)
def write_letter(visitor: Visitor, body: Letter) -> None:
    seen.append(visitor)


@endpoint("GET", "/v1/page", limited=False)
def read_page(visitor: Visitor) -> Response[str]:
    return Response(200, "text/html", "<p>page</p>", headers={"Content-Security-Policy": "mine"})


@endpoint("GET", "/v1/staff/ships")
def inspect_ships(staff: Staff, term: Annotated[str, Query(max_length=5)] = "") -> Ship:
    seen.append(staff)
    return Ship(id="shp_1", name=term)


def problem(answer: Answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    return answer.status, answer.body["code"]


def make_key(tenant_id: str, *granted: str) -> dict[str, str]:
    secret = "sk_test_" + "0" * 64
    KeyRecord.for_secret(
        hash_secret(secret),
        tenant_id=tenant_id,
        key_id="key_1",
        user_id="usr_1",
        permissions=set(granted) or None,
    ).save()
    return {"X-API-Key": secret}


class TestAnswers:
    def test_a_resource_is_answered_as_it_is(self) -> None:
        tenant_id = make_tenant()
        answer = call(
            create_ship,
            body={"name": "Argo"},
            headers=bearer(tenant_id, role="x", permissions=["ships:write"]),
        )

        assert answer.status == 201
        assert answer.body["name"] == "Argo"
        assert answer.headers["Content-Type"] == "application/json"
        [(caller, body)] = seen
        assert (caller.tenant_id, caller.kind, caller.mode) == (tenant_id, "user", "test")
        assert (caller.ip, caller.user_agent) == ("203.0.113.7", "tests")
        assert body == NewShip(name="Argo")

    def test_security_headers_are_on_everything(self) -> None:
        answers = [
            call(list_ships, headers=bearer(make_tenant())),
            call(list_ships),
            call(read_page),
        ]
        for answer in answers:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Strict-Transport-Security"]
            assert answer.headers["X-Request-Id"]
        assert answers[0].headers["Cache-Control"] == "no-store"

    def test_what_windows_allow_is_said(self) -> None:
        answer = call(list_ships, headers=bearer(make_tenant(limit_user_minute=5)))

        assert answer.headers["X-RateLimit-Limit"] == "5"
        assert answer.headers["X-RateLimit-Remaining"] == "4"

    def test_nothing_is_answered_with_nothing(self) -> None:
        answer = call(sink_ship, "/v1/ships/shp_1", headers=bearer(make_tenant()))

        assert (answer.status, answer.text) == (204, "")
        assert "Content-Type" not in answer.headers
        assert seen == ["shp_1"]

    def test_a_request_id_is_kept_where_it_is_one(self) -> None:
        headers = bearer(make_tenant())
        kept = call(list_ships, headers=headers | {"X-Request-Id": "trace-12345678"})
        replaced = call(list_ships, headers=headers | {"X-Request-Id": "bad\r\nSet-Cookie: a=b"})

        assert kept.headers["X-Request-Id"] == "trace-12345678"
        assert replaced.headers["X-Request-Id"].startswith("req_")

    def test_large_answers_are_compressed_for_who_can_read_them(self) -> None:
        event = http_event(
            "GET", "/v1/ships", headers=bearer(make_tenant()) | {"Accept-Encoding": "gzip"}
        )
        response = list_ships(event, None)

        assert response["headers"]["Content-Encoding"] == "gzip"
        raw = gzip.decompress(base64.b64decode(response["body"]))
        assert json.loads(raw) == {"data": [], "next_cursor": None}

    def test_a_function_may_answer_with_a_page_of_its_own(self) -> None:
        answer = call(read_page)

        assert (answer.status, answer.text) == (200, "<p>page</p>")
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["Content-Security-Policy"] == "mine"


class TestRefusals:
    def test_authentication_comes_before_validation(self) -> None:
        for text in ("{", '{"unknown": 1}', "x" * (MAXIMUM_BODY_BYTES + 1)):
            assert problem(call(create_ship, text=text)) == (401, "auth.unauthenticated")

    def test_permission_comes_before_validation(self) -> None:
        headers = bearer(make_tenant(), role="viewer")
        answer = call(create_ship, text="{", headers=headers)

        assert problem(answer) == (403, "auth.permission_denied")
        assert "ships:write" in answer.body["detail"]

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer "},
            {"Authorization": "Basic dXNlcjpwYXNz"},
            {"Authorization": "Bearer eyJ.eyJ.sig"},
            {"X-API-Key": "sk_test_unknown"},
            {"X-API-Key": ""},
            {"X-API-Key": "sk_test_1", "Authorization": "Bearer a.b.c"},
        ],
    )
    def test_credentials_that_are_none(self, headers: dict[str, str]) -> None:
        answer = call(list_ships, headers=headers)

        assert problem(answer) == (401, "auth.unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_suspended_tenant(self) -> None:
        answer = call(list_ships, headers=bearer(make_tenant(status="payment")))
        assert problem(answer) == (403, "tenant.suspended_payment")

        answer = call(
            fail, "/v1/ships/conflict/sink", headers=bearer(make_tenant(status="payment"))
        )
        assert problem(answer) == (409, "tests.ship_sunk")

    def test_a_full_window(self) -> None:
        headers = bearer(make_tenant(limit_user_minute=0))
        answer = call(list_ships, headers=headers)

        assert problem(answer) == (429, "rate.limited")
        assert int(answer.headers["Retry-After"]) <= 60

    @pytest.mark.parametrize(
        ("text", "status", "code", "fields"),
        [
            ("{", 400, "request.malformed", ["body"]),
            ('{"name": "Argo"', 400, "request.malformed", ["body"]),
            ("[" * 100_000, 400, "request.malformed", None),
            ("null", 422, "request.invalid", None),
            ("[]", 422, "request.invalid", None),
            ('"text"', 422, "request.invalid", None),
            ("{}", 422, "request.invalid", ["body.name"]),
            ('{"name": 1}', 422, "request.invalid", ["body.name"]),
            ('{"name": null}', 422, "request.invalid", ["body.name"]),
            ('{"name": "", "masts": 0}', 422, "request.invalid", ["body.name", "body.masts"]),
            ('{"name": "Argo", "sails": 1}', 422, "request.invalid", ["body.sails"]),
            ('{"name": "\\ud800"}', 400, "request.malformed", []),
            ('{"\\udc00": "Argo"}', 400, "request.malformed", []),
            ('{"name": "Argo", "masts": 1e400}', 422, "request.invalid", ["body.masts"]),
            ('{"name": "Argo", "masts": NaN}', 422, "request.invalid", ["body.masts"]),
            ("x" * (MAXIMUM_BODY_BYTES + 1), 413, "request.too_large", []),
            ('"' + "é" * (MAXIMUM_BODY_BYTES - 10) + '"', 413, "request.too_large", []),
        ],
    )
    def test_bodies_that_are_wrong(
        self, text: str, status: int, code: str, fields: list[str] | None
    ) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        answer = call(create_ship, text=text, headers=headers)

        assert problem(answer) == (status, code)
        if fields is not None:
            assert [error["field"] for error in answer.body["errors"]] == fields
        assert seen == []

    def test_a_whole_surrogate_pair_is_one_character(self) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        answer = call(create_ship, text='{"name": "\\ud83d\\udea2"}', headers=headers)

        assert (answer.status, answer.body["name"]) == (201, "\N{SHIP}")

    def test_a_body_that_is_missing(self) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        assert problem(call(create_ship, headers=headers)) == (422, "request.invalid")

    @pytest.mark.parametrize("media_type", ["text/plain", "", "application/xml", "json"])
    def test_a_body_that_is_no_json(self, media_type: str) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        answer = call(
            create_ship, body={"name": "Argo"}, headers=headers | {"Content-Type": media_type}
        )
        assert problem(answer) == (415, "request.unsupported_media_type")

    @pytest.mark.parametrize(
        "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
    )
    def test_a_body_that_is_json(self, media_type: str) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        answer = call(
            create_ship, body={"name": "Argo"}, headers=headers | {"Content-Type": media_type}
        )
        assert answer.status == 201

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (base64.b64encode(b'{"name": "Argo"}').decode(), (201, None)),
            ("%%%", (400, "request.malformed")),
            (base64.b64encode(b"\xff\xfe").decode(), (400, "request.malformed")),
            ("A" * (MAXIMUM_BODY_BYTES * 2), (413, "request.too_large")),
        ],
    )
    def test_bodies_in_base64(self, body: str, expected: tuple[int, str | None]) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        event = http_event("POST", "/v1/ships", text=body, headers=headers)
        response = create_ship(event | {"isBase64Encoded": True}, None)

        assert (response["statusCode"], json.loads(response["body"]).get("code")) == expected

    def test_the_input_is_not_repeated(self) -> None:
        headers = bearer(make_tenant(), permissions=["ships:write"])
        answer = call(create_ship, body={"name": {"card": "4242424242424242"}}, headers=headers)

        assert answer.status == 422
        assert "4242" not in answer.text

    def test_parameters_that_are_wrong(self) -> None:
        headers = bearer(make_tenant())
        path = call(read_ship, "/v1/ships/nonsense", headers=headers)
        assert problem(path) == (422, "request.invalid")
        assert path.body["errors"][0]["field"] == "path.ship_id"
        for query in ({"limit": "0"}, {"limit": "101"}, {"limit": "two"}, {"cursor": "x" * 600}):
            assert problem(call(list_ships, query=query, headers=headers))[0] == 422

    def test_what_does_not_exist(self) -> None:
        answer = call(read_ship, f"/v1/ships/{new_id('shp')}", headers=bearer(make_tenant()))
        assert problem(answer) == (404, "resource.not_found")
        assert answer.body["detail"] == "There is no such ship."

    def test_a_route_that_is_another(self) -> None:
        answer = call(list_ships, "/v1/elsewhere", headers=bearer(make_tenant()))
        assert problem(answer) == (404, "resource.not_found")

    def test_the_operations_own_errors(self) -> None:
        headers = bearer(make_tenant())
        assert problem(call(fail, "/v1/ships/conflict/sink", headers=headers)) == (
            409,
            "tests.ship_sunk",
        )
        assert problem(call(fail, "/v1/ships/outage/sink", headers=headers)) == (
            503,
            "service.unavailable",
        )

    def test_a_fault_of_ours_tells_nothing(self) -> None:
        answer = call(fail, "/v1/ships/bug/sink", headers=bearer(make_tenant()))

        assert problem(answer) == (500, "internal")
        assert "hunter2" not in answer.text

    def test_an_answer_that_is_not_as_declared_is_a_fault_of_ours(self) -> None:
        answer = call(answer_wrongly, headers=bearer(make_tenant()))

        assert problem(answer) == (500, "internal")
        assert "leaked" not in answer.text

    def test_a_database_that_is_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        headers = bearer(make_tenant())

        def unreachable(*_: Any, **__: Any) -> None:
            raise UnavailableError

        monkeypatch.setattr(gate, "admit_user", unreachable)
        assert problem(call(list_ships, headers=headers)) == (503, "service.unavailable")


class TestKeys:
    def test_a_key_acts_for_its_tenant_with_its_permissions(self) -> None:
        tenant_id = make_tenant()
        headers = make_key(tenant_id, "ships:write")

        assert call(create_ship, body={"name": "Argo"}, headers=headers).status == 201
        [(caller, _)] = seen
        assert (caller.kind, caller.api_key_id, caller.tenant_id) == (
            "api_key",
            "key_1",
            tenant_id,
        )
        assert gate.count_month(tenant_id, f"{clock.wall():%Y-%m}") == 1

    def test_a_key_may_do_no_more_than_it_was_given(self) -> None:
        headers = make_key(make_tenant())
        assert problem(call(create_ship, body={"name": "Argo"}, headers=headers)) == (
            403,
            "auth.permission_denied",
        )

    def test_a_key_whose_time_is_over_is_dead_though_it_is_there(self) -> None:
        headers = make_key(make_tenant())
        record = gate.find_key(hash_secret(headers["X-API-Key"]))
        assert record is not None
        record.expires_at = clock.wall() - timedelta(seconds=1)
        record.save()

        assert problem(call(list_ships, headers=headers)) == (401, "auth.unauthenticated")

    def test_a_quota_is_told_from_a_rate(self) -> None:
        headers = make_key(make_tenant(limit_month=0))
        assert problem(call(list_ships, headers=headers)) == (429, "quota_exceeded")


class TestVisitors:
    def test_need_no_credentials(self) -> None:
        answer = call(write_letter, body={"email": "ada@example.com"})

        assert answer.status == 202
        assert seen[0].ip == "203.0.113.7"

    def test_are_limited_by_where_they_come_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILROOM_PUBLIC_CALLS_PER_MINUTE", "3")
        moment = clock.wall()
        monkeypatch.setattr(clock, "wall", lambda: moment)
        load.cache_clear()
        bodies = [{"email": f"ada{number}@example.com"} for number in range(5)]
        statuses = [call(write_letter, body=body).status for body in bodies]
        assert statuses == [202, 202, 202, 429, 429]
        other = call(write_letter, body=bodies[0], ip="203.0.113.8")
        assert other.status == 202

    def test_are_limited_by_the_address_that_they_name(self) -> None:
        statuses = [
            call(
                write_letter,
                body={"email": "Ada@example.com" if number % 2 else "ada@example.com"},
                ip=f"203.0.113.{number}",
            ).status
            for number in range(12)
        ]
        assert statuses == [202] * 10 + [429] * 2

    @pytest.mark.parametrize(
        ("trusted", "forwarded", "expected"),
        [
            (0, "198.51.100.1", "203.0.113.7"),
            (1, "198.51.100.1, 192.0.2.1", "198.51.100.1"),
            (1, "spoofed, 198.51.100.1, 192.0.2.1", "198.51.100.1"),
            (1, "192.0.2.1", "203.0.113.7"),
            (2, "198.51.100.1, 192.0.2.1, 192.0.2.2", "198.51.100.1"),
        ],
    )
    def test_behind_proxies_only_what_proxies_say_is_believed(
        self, monkeypatch: pytest.MonkeyPatch, trusted: int, forwarded: str, expected: str
    ) -> None:
        monkeypatch.setenv("MAILROOM_TRUSTED_PROXIES", str(trusted))
        load.cache_clear()
        call(
            write_letter,
            body={"email": "ada@example.com"},
            headers={"X-Forwarded-For": forwarded},
        )
        assert seen[0].ip == expected

    def test_a_route_that_touches_no_data_is_not_limited(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail_if_called(*_: Any, **__: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(gate, "limit_visitors", fail_if_called)
        assert call(read_page).status == 200


class TestStaff:
    @pytest.fixture(autouse=True)
    def _platform(self, tables: None) -> None:
        GateRecord.for_tenant(
            PLATFORM_GATE, status="active", limit_user_minute=100, limit_tenant_minute=100
        ).save()

    def headers(self, realm: Any = "staff") -> dict[str, str]:
        claims = {"sub": "stf_1", "sid": "ses_1", "role": "operator", "tid": "tnt_1"}
        return {"Authorization": f"Bearer {sign(realm, claims)}"}

    def test_sign_in_to_a_realm_of_their_own(self) -> None:
        answer = call(inspect_ships, query={"term": "Argo"}, headers=self.headers())

        assert answer.status == 200
        assert (seen[0].staff_id, seen[0].role) == ("stf_1", "operator")

    def test_tenants_are_not_staff_and_staff_no_tenants(self) -> None:
        assert call(inspect_ships, headers=self.headers("tenant")).status == 401
        assert call(list_ships, headers=self.headers("staff")).status == 401


class TestIdempotency:
    @staticmethod
    def send(tenant_id: str, key: str | None, name: str = "Argo") -> Answer:
        headers = bearer(tenant_id, permissions=["ships:write"])
        if key is not None:
            headers["Idempotency-Key"] = key
        return call(create_ship, body={"name": name}, headers=headers)

    def test_a_repeated_request_makes_nothing_and_shows_no_secret_again(self) -> None:
        tenant_id = make_tenant()
        first, second = self.send(tenant_id, "key-1"), self.send(tenant_id, "key-1")

        assert (first.status, second.status) == (201, 201)
        assert second.body == {"id": first.body["id"], "name": "as it is now", "secret": None}
        assert second.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert len(seen) == 1

    def test_another_request_under_the_same_key_is_refused(self) -> None:
        tenant_id = make_tenant()
        self.send(tenant_id, "key-1")
        answer = self.send(tenant_id, "key-1", "Pequod")

        assert problem(answer) == (422, "request.idempotency_key_reused")
        assert len(seen) == 1

    def test_keys_of_tenants_do_not_meet(self) -> None:
        first, second = (self.send(make_tenant(), "key-1") for _ in range(2))

        assert first.body["id"] != second.body["id"]

    def test_without_a_key_every_request_is_its_own(self) -> None:
        tenant_id = make_tenant()
        first, second = self.send(tenant_id, None), self.send(tenant_id, None)

        assert first.body["id"] != second.body["id"]

    @pytest.mark.parametrize("key", ["", " ", "with space", "ü", "x" * 256])
    def test_a_key_that_is_none(self, key: str) -> None:
        assert problem(self.send(make_tenant(), key)) == (
            400,
            "request.idempotency_key_invalid",
        )

    def test_a_failed_request_can_be_repeated(self) -> None:
        tenant_id = make_tenant()
        headers = bearer(tenant_id, permissions=["ships:write"]) | {"Idempotency-Key": "key-1"}
        assert call(create_ship, body={"name": ""}, headers=headers).status == 422

        assert self.send(tenant_id, "key-1").status == 201

    def test_of_twins_the_second_gets_what_the_first_made(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant_id = make_tenant()
        first = self.send(tenant_id, "key-1")
        looks = iter([None])
        real = find
        monkeypatch.setattr(
            "kernel.http.find",
            lambda model, *keys: next(looks, real(model, *keys)),
        )
        second = self.send(tenant_id, "key-1")

        assert second.body["id"] == first.body["id"]
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_a_twin_that_cannot_be_answered_yet_is_in_flight(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant_id = make_tenant()
        self.send(tenant_id, "key-1")
        monkeypatch.setattr("kernel.http.find", lambda model, *keys: None)

        assert problem(self.send(tenant_id, "key-1")) == (409, "request.in_flight")

    def test_the_record_is_bound_to_the_route(self) -> None:
        tenant_id = make_tenant()
        ship = self.send(tenant_id, "key-1").body
        keys = IdempotencyRecord.keys(tenant_id, "POST /v1/ships", "key-1")
        record = find(IdempotencyRecord, *keys)

        assert record is not None
        assert record.resource_id == ship["id"]


def test_an_endpoint_says_what_cdk_needs() -> None:
    assert create_ship.kind == "endpoint"
    assert (create_ship.method, create_ship.path) == ("POST", "/v1/ships")
    assert (create_ship.permission, create_ship.public) == ("ships:write", False)
    assert (write_letter.permission, write_letter.public) == (None, True)
