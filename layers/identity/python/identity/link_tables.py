"""Records of what was mailed and waits for an answer: registrations and links."""

from typing import ClassVar

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute

from identity.tables import IdentityTable
from kernel.tables import query_page


class RegistrationRecord(IdentityTable, discriminator="registration"):
    """A registration form whose address nobody has proven yet; gone a day after its last link."""

    PREFIX: ClassVar[str] = "REGISTRATION#"

    registration_id = UnicodeAttribute()
    company_name = UnicodeAttribute()
    email = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    plan = UnicodeAttribute()
    mode = UnicodeAttribute()
    link_hash = UnicodeAttribute()

    @classmethod
    def keys(cls, digest: str, registration_id: str) -> tuple[str, str]:
        """Return partition and sort key of an address's registration."""
        return f"REGISTRATION#{digest}", f"{cls.PREFIX}{registration_id}"

    @classmethod
    def newest_of(cls, digest: str) -> "RegistrationRecord | None":
        """Return the newest registration of an address, by one consistent query."""
        pk, _ = cls.keys(digest, "")
        records, _ = query_page(cls, pk, prefix=cls.PREFIX, limit=1)
        return records[0] if records else None


class LinkRecord(IdentityTable, discriminator="link"):
    """A secret that was mailed, by its SHA-256: what it is for and of whom."""

    SK: ClassVar[str] = "LINK"

    purpose = UnicodeAttribute()
    subject = UnicodeAttribute()
    address_digest = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()

    @staticmethod
    def partition(secret_hash: str) -> str:
        """Return the partition of a link."""
        return f"LINK#{secret_hash}"
