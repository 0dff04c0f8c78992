"""Known and unknown addresses cannot be told apart: the same calls, hashes and answers."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from identity import passwords, registrations, reset_requests, verifications
from identity.models.auth import AddressForm, RegisterAccount
from kernel.errors import MailroomError
from tests.unit.identity.scenery import EMAIL, VISITOR, Calls, log_in, register, sign_up

UNKNOWN = "nobody@acme.example"
PENDING = "pending@acme.example"


@pytest.fixture
def people(world: None) -> None:
    sign_up()
    register(PENDING)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The argon2 computations, in order."""
    done: list[str] = []

    class Counting:
        def __init__(self, hasher: Any) -> None:
            self._hasher = hasher

        def hash(self, password: str) -> Any:
            done.append("hash")
            return self._hasher.hash(password)

        def verify(self, *arguments: str) -> Any:
            done.append("verify")
            return self._hasher.verify(*arguments)

        def check_needs_rehash(self, made: str) -> Any:
            return self._hasher.check_needs_rehash(made)

    monkeypatch.setattr(passwords, "_HASHER", Counting(passwords._HASHER))
    return done


def fill_in(email: str) -> Any:
    form = {
        "company_name": "Acme",
        "email": email,
        "password": "one more secret",
        "plan": "api_pro",
    }
    return registrations.register(VISITOR, RegisterAccount.model_validate(form))


def resend(email: str) -> Any:
    return verifications.resend(VISITOR, AddressForm(email=email))


def request_reset(email: str) -> Any:
    return reset_requests.request_reset(VISITOR, AddressForm(email=email))


def guess(email: str) -> Any:
    return log_in(email, password="a wrong password")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("operation", [fill_in, resend, request_reset, guess])
@pytest.mark.parametrize("other", [UNKNOWN, PENDING])
def test_calls_and_hashes_are_the_same(
    operation: Callable[[str], Any], other: str, calls: Calls, hashes: list[str]
) -> None:
    known_calls, known_hashes = calls.during(lambda: operation(EMAIL)), list(hashes)
    hashes.clear()
    assert calls.during(lambda: operation(other)) == known_calls
    assert hashes == known_hashes
    assert known_calls


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("operation", [fill_in, resend, request_reset])
def test_answers_are_the_same_but_for_the_address(operation: Callable[[str], Any]) -> None:
    answers = {
        operation(email).model_dump_json().replace(email, "…")
        for email in (EMAIL, PENDING, UNKNOWN)
    }
    assert len(answers) == 1


@pytest.mark.usefixtures("people")
def test_wrong_passwords_and_unknown_addresses_are_refused_alike() -> None:
    refusals = set()
    for email in (EMAIL, PENDING, UNKNOWN):
        with pytest.raises(MailroomError) as refused:
            guess(email)
        refusals.add((type(refused.value), refused.value.detail, refused.value.status))
    assert len(refusals) == 1


@pytest.mark.usefixtures("people")
def test_unknown_addresses_are_locked_out_like_known_ones() -> None:
    codes: dict[str, list[str]] = {}
    for email in (EMAIL, UNKNOWN):
        codes[email] = []
        for _ in range(7):
            with pytest.raises(MailroomError) as refused:
                guess(email)
            codes[email].append(refused.value.code)
    assert codes[EMAIL] == codes[UNKNOWN]
    assert codes[EMAIL][4:6] == ["identity.credentials_invalid", "identity.sign_in_locked"]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("operation", [fill_in, resend, request_reset])
def test_transactions_have_the_same_shape(
    operation: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many items, of the same kinds of write: latency and cost tell nothing."""
    shapes = [
        _shape(calls, functools.partial(operation, email)) for email in (EMAIL, PENDING, UNKNOWN)
    ]
    assert shapes[0] == shapes[1] == shapes[2] != []


def _shape(calls: Calls, work: Callable[[], Any]) -> list[list[tuple[str, ...]]]:
    calls.during(work)
    return [
        [(*item,) for item in request["TransactItems"]]
        for request in calls.requests
        if "TransactItems" in request
    ]
