"""Access tokens: ES256 JWTs (RFC 7519, RFC 7518 §3.4) signed by KMS and verified locally.

Keys come in generations; the deployment's generation g signs, and g-1, g and g+1 are accepted,
so that functions which are not updated yet know the next key. `kid` is the RFC 7638 thumbprint.

PyJWT and cryptography are imported on first use: public routes and API keys never need them.
"""

import base64
import hashlib
import json
import time
from functools import cache, lru_cache
from typing import Any, Final, Literal

from kernel import aws, clock
from kernel.errors import UnauthenticatedError
from kernel.settings import KernelSettings, load, resource_name

ACCESS_SECONDS: Final = 900

Realm = Literal["tenant", "staff"]

_LEEWAY_SECONDS: Final = 5
_REFRESH_SECONDS: Final = 60


def sign(realm: Realm, claims: dict[str, Any], *, lifetime_seconds: int = ACCESS_SECONDS) -> str:
    """Return a token with these claims and the standard ones; one KMS call.

    `iat` has milliseconds, so that a revocation can tell tokens of the same second apart.
    """
    issued = int(clock.wall().timestamp() * 1000) / 1000
    payload = {
        "iss": load(KernelSettings).mailroom_token_issuer,
        "aud": _audience(realm),
        "iat": issued,
        "exp": int(issued) + lifetime_seconds,
        **claims,
    }
    header = {"alg": "ES256", "typ": "JWT", "kid": public_keys()[_generation()]["kid"]}
    signing_input = f"{_encode_json(header)}.{_encode_json(payload)}"
    response = aws.client("kms").sign(
        KeyId=_alias(_generation()),
        Message=hashlib.sha256(signing_input.encode()).digest(),
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )
    return f"{signing_input}.{_encode(_raw_signature(response['Signature']))}"


def verify(realm: Realm, token: str) -> dict[str, Any]:
    """Return a token's claims; raises UnauthenticatedError whatever is wrong with it."""
    import jwt

    try:
        key = _verification_key(_key_id(token.partition(".")[0]))
        if key is None:
            raise UnauthenticatedError("The token's key is not known.")
        return jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=_audience(realm),
            issuer=load(KernelSettings).mailroom_token_issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "sid"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise UnauthenticatedError("The token has expired; refresh it.") from error
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise UnauthenticatedError("The token is not valid.") from error


def public_keys() -> dict[int, dict[str, str]]:
    """Return the public JWKs (RFC 7517) of the generations that exist, by generation."""
    return _public_keys(int(time.monotonic()) // (_REFRESH_SECONDS * 60))


@cache
def _public_keys(epoch: int) -> dict[int, dict[str, str]]:  # noqa: ARG001 - the cache's key
    """Fetch the public keys; `epoch` makes the cache end every hour."""
    generation = _generation()
    wanted = [number for number in (generation - 1, generation, generation + 1) if number > 0]
    return {number: _fetch(number) for number in wanted}


@lru_cache(maxsize=16)
def _key_id(header: str) -> str:
    """Return the `kid` of a token's header, which all tokens of a key share letter for letter."""
    decoded = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return str(decoded["kid"])


def _verification_key(kid: str) -> Any:
    """Return the key of a `kid`, or None; unknown ones cost nothing and are not remembered."""
    for generation, jwk in public_keys().items():
        if jwk["kid"] == kid:
            return _parsed_key(generation, kid)
    return None


@cache
def _parsed_key(generation: int, kid: str) -> Any:  # noqa: ARG001 - the cache's key
    from jwt.algorithms import ECAlgorithm

    return ECAlgorithm.from_jwk(json.dumps(public_keys()[generation]))


def _fetch(generation: int) -> dict[str, str]:
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from jwt.algorithms import ECAlgorithm

    response = aws.client("kms").get_public_key(KeyId=_alias(generation))
    jwk = json.loads(ECAlgorithm.to_jwk(load_der_public_key(response["PublicKey"])))  # type: ignore[arg-type]
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    thumbprint = _encode(hashlib.sha256(canonical.encode()).digest())
    return {**required, "alg": "ES256", "use": "sig", "kid": thumbprint}


def _raw_signature(der: bytes) -> bytes:
    """Convert KMS's DER signature to the r‖s of 32 bytes each that JWS wants (RFC 7518 §3.4)."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der)
    return r.to_bytes(32) + s.to_bytes(32)


def _generation() -> int:
    generation: int = load(KernelSettings).mailroom_token_key_generation
    return generation


def _alias(generation: int) -> str:
    return f"alias/{resource_name(f'tokens-{generation}')}"


def _audience(realm: Realm) -> str:
    return f"mailroom:{realm}"


def _encode_json(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
