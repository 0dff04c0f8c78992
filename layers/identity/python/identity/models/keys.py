"""Public signing keys."""

from pydantic import BaseModel, Field


class JsonWebKey(BaseModel):
    """A public key (RFC 7517), ECDSA on P-256."""

    kty: str = Field(examples=["EC"])
    crv: str = Field(examples=["P-256"])
    x: str = Field(examples=["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"])
    y: str = Field(examples=["x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"])
    alg: str = Field(examples=["ES256"])
    use: str = Field(examples=["sig"])
    kid: str = Field(description="The RFC 7638 thumbprint.")


class JsonWebKeySet(BaseModel):
    """The keys that tokens may be signed with: the previous, the present and the next."""

    keys: list[JsonWebKey]
