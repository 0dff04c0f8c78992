"""Identifiers: TypeIDs (typed prefix + UUIDv7, https://github.com/jetify-com/typeid)."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

import uuid_utils
from typeid import TypeID

LIVE_TENANT: Final = "tnt"
TEST_TENANT: Final = "tnt_test"
_SUFFIX: Final = "[0-7][0-9a-hjkmnp-tv-z]{25}"


def new_id(prefix: str) -> str:
    """Return a new id such as `usr_01jd3v…`; ids of one prefix sort by creation time."""
    return str(TypeID(prefix=prefix))


def derive_id(prefix: str, moment: datetime, *parts: str) -> str:
    """Return the one id that belongs to `parts`; it sorts by `moment` as a UUIDv7 does.

    The same parts and moment always give the same id, so a record keyed by it can exist once.
    """
    milliseconds = int(moment.timestamp() * 1000)
    digest = int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:10])
    bits = (milliseconds << 80) | digest
    bits = (bits & ~(0xF << 76)) | (0x7 << 76)
    bits = (bits & ~(0x3 << 62)) | (0x2 << 62)
    return str(TypeID.from_uuid(uuid_utils.UUID(int=bits), prefix=prefix))


def lowest_id(prefix: str, moment: datetime) -> str:
    """Return an id below all that were made at `moment` or later, and above all made before."""
    bits = (int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | (0x2 << 62)
    return str(TypeID.from_uuid(uuid_utils.UUID(int=bits), prefix=prefix))


def moment_of(identifier: str) -> datetime:
    """Return when an id was made, to the millisecond."""
    return datetime.fromtimestamp((TypeID.from_string(identifier).uuid.int >> 80) / 1000, UTC)


def new_tenant_id(mode: str) -> str:
    """Return a tenant id whose prefix tells its mode: `tnt_…` is live, `tnt_test_…` is test."""
    return new_id(TEST_TENANT if mode == "test" else LIVE_TENANT)


def is_test_tenant(tenant_id: str) -> bool:
    """Tell whether a tenant is a test tenant, without reading anything."""
    return tenant_id.startswith(f"{TEST_TENANT}_")


def id_pattern(*prefixes: str) -> str:
    """Return the regular expression that ids of these prefixes match, for path parameters."""
    return f"^(?:{'|'.join(map(re.escape, prefixes))})_{_SUFFIX}$"
