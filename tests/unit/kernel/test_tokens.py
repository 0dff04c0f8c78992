import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kernel import aws, clock, tokens
from kernel.errors import UnauthenticatedError
from kernel.ids import new_id
from kernel.settings import load, resource_name
from tests.doubles import make_signing_key

pytestmark = pytest.mark.usefixtures("keys")

CLAIMS = {"sub": "usr_1", "sid": "ses_1", "tid": "tnt_1", "role": "owner"}


@pytest.fixture
def at_generation(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Deploy with another generation of keys."""

    def deploy(generation: int) -> None:
        monkeypatch.setenv("MAILROOM_TOKEN_KEY_GENERATION", str(generation))
        load.cache_clear()
        tokens._public_keys.cache_clear()

    return deploy


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def header_of(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


def payload_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_token_says_what_was_signed() -> None:
    token = tokens.sign("tenant", CLAIMS)
    claims = tokens.verify("tenant", token)

    assert {name: claims[name] for name in CLAIMS} == CLAIMS
    assert claims["exp"] - claims["iat"] <= tokens.ACCESS_SECONDS
    assert header_of(token)["alg"] == "ES256"


def test_the_kid_is_that_of_a_published_key() -> None:
    published = {key["kid"] for key in tokens.public_keys().values()}

    assert header_of(tokens.sign("tenant", CLAIMS))["kid"] in published
    assert all(
        set(key) == {"crv", "kty", "x", "y", "alg", "use", "kid"}
        for key in (tokens.public_keys().values())
    )


def test_an_expired_token_says_so() -> None:
    token = tokens.sign("tenant", CLAIMS, lifetime_seconds=-10)
    with pytest.raises(UnauthenticatedError, match="expired"):
        tokens.verify("tenant", token)


def test_a_token_of_another_realm_is_none() -> None:
    with pytest.raises(UnauthenticatedError):
        tokens.verify("staff", tokens.sign("tenant", CLAIMS))


def test_a_token_of_another_issuer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.sign("tenant", CLAIMS)
    monkeypatch.setenv("MAILROOM_TOKEN_ISSUER", "https://elsewhere.example")
    load.cache_clear()
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", token)


@pytest.mark.parametrize("missing", ["sub", "sid"])
def test_a_token_that_lacks_a_claim_is_none(missing: str) -> None:
    token = tokens.sign("tenant", {name: CLAIMS[name] for name in CLAIMS if name != missing})
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", token)


def test_a_changed_payload_is_refused() -> None:
    head, payload, signature = tokens.sign("tenant", CLAIMS).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = encode(claims | {"role": "owner", "tid": "tnt_2"})
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", f"{head}.{forged}.{signature}")


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES384"])
def test_the_algorithm_is_not_the_callers_choice(algorithm: str) -> None:
    genuine = tokens.sign("tenant", CLAIMS)
    head = encode(header_of(genuine) | {"alg": algorithm})
    for signature in ("", genuine.rpartition(".")[2]):
        with pytest.raises(UnauthenticatedError):
            tokens.verify("tenant", f"{head}.{genuine.split('.')[1]}.{signature}")


def test_the_public_key_is_no_hmac_secret() -> None:
    genuine = tokens.sign("tenant", CLAIMS)
    kid = header_of(genuine)["kid"]
    [jwk] = [key for key in tokens.public_keys().values() if key["kid"] == kid]
    signed = f"{encode({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{encode(payload_of(genuine))}"
    digest = hmac.digest(json.dumps(jwk).encode(), signed.encode(), "sha256")
    forged = f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", forged)


@pytest.mark.parametrize("claims_kid", [True, False])
def test_a_key_of_somebody_else_is_refused(claims_kid: bool) -> None:
    genuine = tokens.sign("tenant", CLAIMS)
    kid = header_of(genuine)["kid"] if claims_kid else "somebody-else"
    own = ec.generate_private_key(ec.SECP256R1())
    forged = jwt.encode(payload_of(genuine), own, "ES256", headers={"kid": kid})
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", forged)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "a",
        "a.b",
        "a.b.c",
        "....",
        "\x00",
        "ey.ey.ey",
        "é.é.é",
        "eyJhbGciOiJFUzI1NiJ9..",
        "x" * 9_000,
    ],
)
def test_garbage_is_refused(garbage: str) -> None:
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", garbage)


@pytest.mark.parametrize("kid", [None, 1, [], {}, "x" * 5_000])
def test_a_kid_of_any_kind_is_refused(kid: object) -> None:
    head = encode({"alg": "ES256", "typ": "JWT", "kid": kid})
    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", f"{head}.{encode({'sub': 'usr_1'})}.AAAA")


def test_unknown_kids_are_not_remembered() -> None:
    before = tokens._parsed_key.cache_info().currsize
    for _ in range(5):
        head = encode({"alg": "ES256", "typ": "JWT", "kid": new_id("kid")})
        with pytest.raises(UnauthenticatedError):
            tokens.verify("tenant", f"{head}.{encode({})}.AAAA")
    assert tokens._parsed_key.cache_info().currsize == before


def test_a_rotation_ends_no_session(at_generation: Callable[[int], None]) -> None:
    make_signing_key(3)
    old = tokens.sign("tenant", CLAIMS)
    at_generation(2)
    new = tokens.sign("tenant", CLAIMS)

    assert header_of(old)["kid"] != header_of(new)["kid"]
    assert tokens.verify("tenant", old)["sub"] == "usr_1"
    assert tokens.verify("tenant", new)["sub"] == "usr_1"
    assert sorted(tokens.public_keys()) == [1, 2, 3]


def test_a_function_that_is_not_deployed_yet_knows_the_next_key(
    at_generation: Callable[[int], None],
) -> None:
    make_signing_key(3)
    at_generation(2)
    token = tokens.sign("tenant", CLAIMS)
    at_generation(1)

    assert tokens.verify("tenant", token)["sub"] == "usr_1"


def test_a_key_of_the_generation_before_last_is_dead(
    at_generation: Callable[[int], None],
) -> None:
    make_signing_key(3)
    make_signing_key(4)
    token = tokens.sign("tenant", CLAIMS)
    at_generation(3)

    with pytest.raises(UnauthenticatedError):
        tokens.verify("tenant", token)


def test_signatures_are_64_bytes_whatever_their_numbers() -> None:
    for _ in range(20):
        signature = tokens.sign("tenant", CLAIMS).rpartition(".")[2]
        assert len(base64.urlsafe_b64decode(signature + "==")) == 64


def test_issue_times_tell_tokens_of_one_second_apart() -> None:
    first = payload_of(tokens.sign("tenant", CLAIMS))["iat"]
    time.sleep(0.005)
    second = payload_of(tokens.sign("tenant", CLAIMS))["iat"]

    assert first < second


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 748_580, 999_999])
def test_a_token_is_never_younger_than_the_moment_that_it_was_made(
    monkeypatch: pytest.MonkeyPatch, microsecond: int
) -> None:
    moment = clock.wall().replace(microsecond=microsecond)
    monkeypatch.setattr(clock, "wall", lambda: moment)

    issued = payload_of(tokens.sign("tenant", CLAIMS))["iat"]
    assert moment.timestamp() - 0.001 < issued <= moment.timestamp()


def test_the_private_key_never_leaves_kms() -> None:
    alias = f"alias/{resource_name('tokens-1')}"
    assert aws.client("kms").get_public_key(KeyId=alias)["KeyUsage"] == "SIGN_VERIFY"
