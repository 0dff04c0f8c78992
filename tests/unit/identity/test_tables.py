"""What stands in the table: keys that begin with a tenant or a named look-up, no secrets."""

import re

import pytest

from identity import api_keys, reset_requests, staff, verifications
from identity import tables as identity_tables
from identity.models.api_keys import CreateApiKey
from identity.models.auth import AddressForm
from identity.models.forms import PASSWORD_MAXIMUM, PASSWORD_MINIMUM, PlanName
from identity.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH
from kernel import aws
from kernel.settings import resource_name
from tests.unit.identity.scenery import (
    EMAIL,
    PASSWORD,
    VISITOR,
    enable_totp,
    items,
    register,
    sign_up,
)

ID = "[0-7][0-9a-z]{25}"
HASH = "[0-9a-f]{64}"
KEYS = [
    rf"tnt(_test)?_{ID}\|TENANT",
    rf"tnt(_test)?_{ID}\|API_KEY#key_{ID}",
    rf"USER#usr_{ID}\|PROFILE",
    rf"USER#usr_{ID}\|MEMBERSHIP#tnt(_test)?_{ID}",
    rf"USER#usr_{ID}\|SESSION#ses_{ID}",
    rf"EMAIL#{HASH}\|(ADDRESS|ATTEMPTS)",
    rf"STAFF#{HASH}\|(STAFF|ATTEMPTS)",
    rf"REGISTRATION#{HASH}\|(REGISTRATION#reg_{ID}|DECOY)",
    rf"LINK#{HASH}\|LINK",
]


@pytest.fixture
def busy_day(world: None) -> list[str]:
    """Everything that leaves records; returns the secrets that were given out."""
    owner = sign_up()
    totp, codes = enable_totp(owner)
    form = {"name": "Key", "permissions": ["tenant:read"]}
    key = api_keys.create(owner.caller, CreateApiKey.model_validate(form))
    reset = AddressForm(email=EMAIL)
    reset_requests.request_reset(VISITOR, reset)
    enrolled = staff.enrol("ops@mailroom.example")
    pending = register("pending@acme.example")
    for unknown in ("nobody@acme.example", "pending@acme.example"):
        verifications.resend(VISITOR, AddressForm(email=unknown))
        reset_requests.request_reset(VISITOR, AddressForm(email=unknown))
    return [
        PASSWORD,
        owner.session.refresh_token,
        owner.session.access_token,
        totp.secret,
        *codes,
        str(key.secret),
        enrolled.password,
        enrolled.totp_secret,
        pending,
    ]


def test_every_key_begins_with_a_tenant_or_a_named_look_up(busy_day: list[str]) -> None:
    keys = [f"{item['pk']['S']}|{item['sk']['S']}" for item in items()]
    strange = [key for key in keys if not any(re.fullmatch(shape, key) for shape in KEYS)]
    assert not strange
    unused = [shape for shape in KEYS if not any(re.fullmatch(shape, key) for key in keys)]
    assert not unused


def test_no_table_holds_a_secret(busy_day: list[str]) -> None:
    stored = str([items(table) for table in ("identity", "gate", "journal", "timers")])
    assert not [secret for secret in busy_day if secret in stored]


def test_what_is_of_passing_use_is_forgotten(busy_day: list[str]) -> None:
    passing = {"ATTEMPTS", "LINK", "DECOY"}
    for item in items():
        sort_key = item["sk"]["S"]
        if sort_key in passing or sort_key.startswith(("SESSION#", "REGISTRATION#")):
            assert "expires_at" in item, sort_key


def test_indexes_hold_what_they_are_named_after(busy_day: list[str]) -> None:
    for index, kind in (("by_status", "tenant"), ("by_tenant", "membership")):
        found = aws.client("dynamodb").scan(TableName=resource_name("identity"), IndexName=index)[
            "Items"
        ]
        assert {item["kind"]["S"] for item in found} == {kind}


def test_one_base_model_describes_the_table() -> None:
    [base] = identity_tables.ALL
    assert base.Meta.table_name == "mailroom-local-identity"


def test_plans_are_those_that_billing_knows() -> None:
    from typing import get_args

    from contracts.billing import PLANS

    assert get_args(PlanName) == PLANS


def test_lengths_of_passwords_are_agreed_on() -> None:
    assert (PASSWORD_MINIMUM, PASSWORD_MAXIMUM) == (MINIMUM_LENGTH, MAXIMUM_LENGTH)
