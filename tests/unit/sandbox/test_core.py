"""Small parts of the shared core."""

import threading

import pytest
from botocore.client import BaseClient

from sandbox import delivery, storage, webhooks
from sandbox.faults import matches_event
from sandbox.form import InvalidForm, parse
from sandbox.identifiers import new_id, random_text
from sandbox.masking import mask, masked


def test_ids_sort_by_the_time_of_their_making():
    ids = [new_id("pi") for _ in range(1000)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {len("pi_") + 24}
    assert all(each.removeprefix("pi_").isalnum() for each in ids)


def test_random_text_has_its_length():
    assert [len(random_text(length)) for length in (1, 8, 25)] == [1, 8, 25]


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk_live_abcdefgh1234", "sk_live_****1234"),
        ("whsec_abcdefgh1234", "whsec_****1234"),
        ("abcdefghijklmnop", "****mnop"),
        ("short", "****"),
    ],
)
def test_mask(secret, shown):
    assert mask(secret) == shown


def test_masked_parameters():
    params = {"card": {"number": "4242424242424242"}, "list": [{"cvc": "123"}], "name": "Ada"}
    assert masked(params) == {
        "card": {"number": "****4242"},
        "list": [{"cvc": "****"}],
        "name": "Ada",
    }


@pytest.mark.parametrize(
    ("patterns", "matches"),
    [
        (["*"], True),
        (["charge.succeeded"], True),
        (["charge.*"], True),
        (["refund.*", "charge.*"], True),
        (["charge"], False),
        (["charge.failed"], False),
        ([], False),
    ],
)
def test_event_patterns(patterns, matches):
    assert matches_event(patterns, "charge.succeeded") is matches


def test_forms():
    assert parse("a=1&b[c]=2&b[d][0]=3&b[d][1]=4&e[]=5&e[]=6&f=") == {
        "a": "1",
        "b": {"c": "2", "d": {"0": "3", "1": "4"}},
        "e": {"0": "5", "1": "6"},
        "f": "",
    }
    with pytest.raises(InvalidForm):
        parse("a=1&a[b]=2")


def test_a_charge_takes_five_calls_to_dynamodb(pay, customer, control, monkeypatch):
    """Faults, the key's claim, the customer, the destinations of webhooks, one transaction."""
    control.post("/webhooks", url="https://mailroom.example/stripe")
    calls = []
    call = vars(BaseClient)["_make_api_call"]

    def counted(client, operation, arguments):
        calls.append(operation)
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    pay("pm_card_visa")
    assert calls == ["Query", "PutItem", "GetItem", "Query", "TransactWriteItems"]


def test_all_models_share_one_client():
    models = (storage.SandboxTable, storage.StoredObject, storage.LogEntry)
    assert len({id(model._get_connection().connection.client) for model in models}) == 1


def test_outside_lambda_a_thread_delivers(api, control, monkeypatch):
    control.post("/webhooks", url="https://mailroom.example/stripe")
    arrived = threading.Event()
    delivering = []

    def sender(url, message):
        delivering.append(threading.current_thread())
        arrived.set()
        return 200

    monkeypatch.setattr(delivery, "sender", sender)
    monkeypatch.setattr(webhooks.outbox, "dispatcher", webhooks._start_thread)
    api.v1.customers.create()
    assert arrived.wait(10)
    delivering[0].join()
    assert delivering[0] is not threading.current_thread()
