"""The kernel's endpoints, called as the HTTP API calls them."""

import base64
import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from functions.kernel import (
    check_live,
    check_ready,
    create_test_clock,
    read_docs,
    read_openapi,
    read_problems,
    read_test_clock,
    request_test_clock_advance,
)
from kernel import aws, clock
from tests.callers import bearer, call, make_tenant
from tests.doubles import Queue

pytestmark = pytest.mark.usefixtures("tables", "keys")


class TestTestClock:
    @pytest.fixture
    def queue(self) -> Queue:
        return Queue("mailroom-local-clock-advance")

    def test_is_created_read_and_sent_on(self, queue: Queue) -> None:
        headers = bearer(make_tenant("test"))
        created = call(create_test_clock.handler, body={}, headers=headers)
        assert created.status == 201
        assert created.body["status"] == "ready"
        assert call(read_test_clock.handler, headers=headers).body == created.body

        sent = call(request_test_clock_advance.handler, body={"days": 30}, headers=headers)
        assert (sent.status, sent.body["status"]) == (202, "advancing")
        again = call(request_test_clock_advance.handler, body={"days": 30}, headers=headers)
        assert (again.status, again.body["code"]) == (409, "test_clock.advancing")
        assert len(queue.take()) == 1

    def test_times_are_rfc_3339(self, queue: Queue) -> None:
        headers = bearer(make_tenant("test"))
        later = (clock.wall() + timedelta(days=3)).replace(microsecond=0)
        created = call(create_test_clock.handler, body={"now": later.isoformat()}, headers=headers)
        assert created.body["now"] == later.isoformat().replace("+00:00", "Z")
        to = (later + timedelta(days=1)).isoformat()
        sent = call(request_test_clock_advance.handler, body={"to": to}, headers=headers)
        assert sent.body["target"] == to.replace("+00:00", "Z")

    @pytest.mark.parametrize(
        "body", [{}, {"to": "tomorrow"}, {"days": "1.5"}, {"to": "2027-01-01T00:00:00Z", "days": 1}]
    )
    def test_goes_to_one_time_only(self, body: dict[str, Any]) -> None:
        headers = bearer(make_tenant("test"))
        call(create_test_clock.handler, body={}, headers=headers)
        answer = call(request_test_clock_advance.handler, body=body, headers=headers)

        assert (answer.status, answer.body["code"]) == (422, "request.invalid")

    def test_is_nothing_for_live_tenants(self) -> None:
        answer = call(create_test_clock.handler, body={}, headers=bearer(make_tenant("live")))

        assert (answer.status, answer.body["code"]) == (403, "test_clock.not_a_test_tenant")

    def test_a_tenant_without_one_has_none(self) -> None:
        headers = bearer(make_tenant("test"))
        for answer in (
            call(read_test_clock.handler, headers=headers),
            call(request_test_clock_advance.handler, body={"days": 1}, headers=headers),
        ):
            assert (answer.status, answer.body["code"]) == (404, "test_clock.not_found")

    def test_needs_its_permission(self) -> None:
        headers = bearer(make_tenant("test"), role="viewer")
        assert call(create_test_clock.handler, body={}, headers=headers).status == 403
        assert (
            call(request_test_clock_advance.handler, body={"days": 1}, headers=headers).status
            == 403
        )

    def test_runs_on_while_a_payment_is_due(self) -> None:
        headers = bearer(make_tenant("test", status="payment"))
        assert call(create_test_clock.handler, body={}, headers=headers).status == 201

    def test_is_no_tenants_but_its_own(self, queue: Queue) -> None:
        mine, theirs = make_tenant("test"), make_tenant("test")
        call(create_test_clock.handler, body={}, headers=bearer(mine))

        assert call(read_test_clock.handler, headers=bearer(theirs)).status == 404


class TestHealth:
    def test_lives_without_a_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aws, "client", None)
        assert call(check_live.handler).body == {"status": "ok"}

    def test_is_ready_when_the_database_answers(self) -> None:
        assert call(check_ready.handler).body == {"status": "ok"}

    def test_is_not_ready_when_it_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Silent:
            def get_item(self, **_: Any) -> None:
                raise ConnectTimeoutError(endpoint_url="https://dynamodb")

        monkeypatch.setattr(aws, "client", lambda *_, **__: Silent())
        monkeypatch.setattr("kernel.gate.limit_visitors", lambda *_, **__: None)
        answer = call(check_ready.handler)
        assert (answer.status, answer.body["code"]) == (503, "service.unavailable")


class TestDocuments:
    def test_the_description_is_served(self) -> None:
        answer = call(read_openapi.handler)

        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert "/v1/test-clock/advance" in answer.body["paths"]

    def test_the_type_of_a_problem_leads_to_its_row(self) -> None:
        answer = call(read_problems.handler)
        codes = call(read_openapi.handler).body["components"]["examples"]

        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert {"request.invalid", "auth.unauthenticated"} <= set(codes)
        assert all(f'<tr id="{code}">' in answer.text for code in codes)

    def test_the_page_runs_its_own_scripts_and_fetches_nothing(self) -> None:
        answer = call(read_docs.handler)
        policy = answer.headers["Content-Security-Policy"]
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL)

        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert len(scripts) == 2
        for script in scripts:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", answer.text)

    def test_the_page_holds_the_description(self) -> None:
        script = call(read_docs.handler).text.rpartition("<script>")[2]
        spec, _ = json.JSONDecoder().raw_decode(script.partition("spec: ")[2])

        assert spec == call(read_openapi.handler).body
