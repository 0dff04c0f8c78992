"""Identity's table. Only this module and `link_tables` know its keys and query it.

    pk                       sk                    record
    tnt_…                    TENANT                TenantRecord         index by_status
    tnt_…                    API_KEY#key_…         ApiKeyRecord
    USER#usr_…               PROFILE               UserRecord
    USER#usr_…               MEMBERSHIP#tnt_…      MembershipRecord     index by_tenant
    USER#usr_…               SESSION#ses_…         SessionRecord
    EMAIL#<sha256>           ADDRESS               AddressRecord
    EMAIL#<sha256>           ATTEMPTS              AttemptsRecord
    STAFF#<sha256>           STAFF                 StaffRecord
    STAFF#<sha256>           ATTEMPTS              AttemptsRecord
    REGISTRATION#<sha256>    REGISTRATION#reg_…    RegistrationRecord
    LINK#<sha256>            LINK                  LinkRecord

A user's partition holds all that signing in or refreshing needs, so one query reads it.
Addresses and secrets stand in keys as SHA-256 only.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from pynamodb.attributes import (
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.exceptions import PynamoDBException
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from kernel.settings import resource_name
from kernel.tables import Table, query_page


class IdentityTable(Table):
    """Everything of identity."""

    class Meta:
        table_name = resource_name("identity")

    kind = DiscriminatorAttribute()

    @classmethod
    def of_partition(cls, pk: str) -> list["IdentityTable"]:
        """Return all records of a partition, by one consistent query."""
        return list(cls.query(pk, consistent_read=True))


class StatusIndex(GlobalSecondaryIndex["TenantRecord"]):
    """Tenants by status, for platform staff."""

    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute(range_key=True)


class TenantRecord(IdentityTable, discriminator="tenant"):
    """A company: its data, why it is suspended, and what identity knows of its subscription.

    `version` counts changes of name and standing. `payment_fact` is the id of the newest event
    that said whether the account is settled, as events arrive in any order.
    """

    SK: ClassVar[str] = "TENANT"

    tenant_id = UnicodeAttribute()
    company_name = UnicodeAttribute()
    mode = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    status = UnicodeAttribute()
    suspensions: JSONAttribute = JSONAttribute(default=dict)
    plan = UnicodeAttribute()
    subscription_status = UnicodeAttribute(null=True)
    trial_ends_at = UTCDateTimeAttribute(null=True)
    payment_fact = UnicodeAttribute(null=True)
    created_at = UTCDateTimeAttribute()
    updated_at = UTCDateTimeAttribute()
    version = NumberAttribute(default=1)
    by_status = StatusIndex()

    @classmethod
    def at(cls, tenant_id: str, **attributes: Any) -> "TenantRecord":
        """Return the record of a tenant, with its keys set."""
        return cls(tenant_id, cls.SK, tenant_id=tenant_id, **attributes)

    @classmethod
    def some(cls, tenant_ids: Iterable[str]) -> list["TenantRecord"]:
        """Return those tenants that exist, by one consistent batch read."""
        return list(cls.batch_get([(item, cls.SK) for item in tenant_ids], consistent_read=True))

    @classmethod
    def in_status(
        cls, status: str, *, limit: int, after: str | None
    ) -> tuple[list["TenantRecord"], str | None]:
        """Return a page of the tenants in a status, oldest first, and the id to go on after."""
        keys = cls.at(after, status=status).index_keys() if after else None
        results = cls.by_status.query(status, limit=limit, page_size=limit, last_evaluated_key=keys)
        records = list(results)
        following = results.last_evaluated_key
        return records, following["pk"]["S"] if following else None

    def index_keys(self) -> dict[str, dict[str, str]]:
        """Return the keys of this record in the table and in the index, as DynamoDB has them."""
        values = {"pk": self.pk, "sk": self.sk, "status": self.status, "tenant_id": self.tenant_id}
        return {name: {"S": value} for name, value in values.items()}


class ApiKeyRecord(IdentityTable, discriminator="api_key"):
    """An API key as its tenant sees it; in the gate's table stands what its secret is checked by.

    `valid_until` is no TTL: a key that has expired is still listed.
    """

    PREFIX: ClassVar[str] = "API_KEY#"

    key_id = UnicodeAttribute()
    name = UnicodeAttribute()
    hint = UnicodeAttribute()
    permissions = UnicodeSetAttribute(null=True)
    created_by = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    valid_until = UTCDateTimeAttribute(null=True)
    last_used_at = UTCDateTimeAttribute(null=True)
    rotated_at = UTCDateTimeAttribute(null=True)
    secret_hash = UnicodeAttribute()
    previous_hash = UnicodeAttribute(null=True)
    version = NumberAttribute(default=1)

    @classmethod
    def at(cls, tenant_id: str, key_id: str, **attributes: Any) -> "ApiKeyRecord":
        """Return the record of a tenant's key, with its keys set."""
        return cls(tenant_id, f"{cls.PREFIX}{key_id}", key_id=key_id, **attributes)

    @classmethod
    def page(
        cls, tenant_id: str, *, limit: int, cursor: str | None, created_by: str | None = None
    ) -> tuple[list["ApiKeyRecord"], str | None]:
        """Return a page of a tenant's keys, newest first; of one user's where one is named."""
        where = cls.created_by == created_by if created_by else None
        return query_page(
            cls, tenant_id, prefix=cls.PREFIX, limit=limit, cursor=cursor, where=where
        )


class AddressRecord(IdentityTable, discriminator="address"):
    """Whose a verified address is."""

    SK: ClassVar[str] = "ADDRESS"

    user_id = UnicodeAttribute()

    @staticmethod
    def partition(digest: str) -> str:
        """Return the partition of an address by its SHA-256."""
        return f"EMAIL#{digest}"


class AttemptsRecord(IdentityTable, discriminator="attempts"):
    """Failed sign-ins with one address, known or not; forgotten by TTL."""

    SK: ClassVar[str] = "ATTEMPTS"

    failures = NumberAttribute()
    locked_until = UTCDateTimeAttribute(null=True)


class UserRecord(IdentityTable, discriminator="user"):
    """A person: address, password hash, second factor.

    `generation` rises whenever all sessions end at once; a session of another one is dead.
    """

    SK: ClassVar[str] = "PROFILE"

    user_id = UnicodeAttribute()
    email = UnicodeAttribute()
    name = UnicodeAttribute(default="")
    password_hash = UnicodeAttribute()
    password_changed_at = UTCDateTimeAttribute()
    generation = NumberAttribute(default=1)
    created_at = UTCDateTimeAttribute()
    totp_sealed = UnicodeAttribute(null=True)
    totp_pending = UnicodeAttribute(null=True)
    totp_step = NumberAttribute(null=True)
    recovery_hashes = UnicodeSetAttribute(null=True)

    @staticmethod
    def partition(user_id: str) -> str:
        """Return the partition that holds a user, memberships and sessions."""
        return f"USER#{user_id}"

    @classmethod
    def at(cls, user_id: str, **attributes: Any) -> "UserRecord":
        """Return the record of a user, with its keys set."""
        return cls(cls.partition(user_id), cls.SK, user_id=user_id, **attributes)


class TenantIndex(GlobalSecondaryIndex["MembershipRecord"]):
    """The members of a tenant, in the order in which they became users."""

    class Meta:
        index_name = "by_tenant"
        projection = AllProjection()

    member_of = UnicodeAttribute(hash_key=True)
    member_id = UnicodeAttribute(range_key=True)


class MembershipRecord(IdentityTable, discriminator="membership"):
    """That a user belongs to a tenant, and in which role."""

    PREFIX: ClassVar[str] = "MEMBERSHIP#"

    member_of = UnicodeAttribute()
    member_id = UnicodeAttribute()
    email = UnicodeAttribute()
    role = UnicodeAttribute()
    joined_at = UTCDateTimeAttribute()
    by_tenant = TenantIndex()

    @classmethod
    def at(cls, user_id: str, tenant_id: str, **attributes: Any) -> "MembershipRecord":
        """Return the membership of a user in a tenant, with its keys set."""
        pk, sk = UserRecord.partition(user_id), f"{cls.PREFIX}{tenant_id}"
        return cls(pk, sk, member_id=user_id, member_of=tenant_id, **attributes)

    @classmethod
    def first_of(cls, tenant_id: str, *, limit: int) -> Sequence["MembershipRecord"]:
        """Return the first members of a tenant; the index may be a moment behind."""
        return list(cls.by_tenant.query(tenant_id, limit=limit, page_size=limit))


class SessionRecord(IdentityTable, discriminator="session"):
    """A family of refresh tokens; `identity.refresh_tokens` says what hashes and nonce are for.

    `expires_at` slides with each refresh.
    """

    PREFIX: ClassVar[str] = "SESSION#"

    session_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    tenant_id = UnicodeAttribute()
    generation = NumberAttribute()
    created_at = UTCDateTimeAttribute()
    refreshed_at = UTCDateTimeAttribute()
    ip = UnicodeAttribute(default="")
    user_agent = UnicodeAttribute(default="")
    family_hash = UnicodeAttribute()
    token_hash = UnicodeAttribute()
    previous_hash = UnicodeAttribute(null=True)
    nonce = UnicodeAttribute(null=True)

    @classmethod
    def at(cls, user_id: str, session_id: str, **attributes: Any) -> "SessionRecord":
        """Return the record of a user's session, with its keys set."""
        pk, sk = UserRecord.partition(user_id), f"{cls.PREFIX}{session_id}"
        return cls(pk, sk, user_id=user_id, session_id=session_id, **attributes)


class StaffRecord(IdentityTable, discriminator="staff"):
    """A member of the platform's own staff, who cannot be without a second factor."""

    SK: ClassVar[str] = "STAFF"

    staff_id = UnicodeAttribute()
    email = UnicodeAttribute()
    role = UnicodeAttribute(default="operator")
    password_hash = UnicodeAttribute()
    totp_sealed = UnicodeAttribute()
    totp_step = NumberAttribute(null=True)
    created_at = UTCDateTimeAttribute()

    @staticmethod
    def partition(digest: str) -> str:
        """Return the partition of a member of staff, by the SHA-256 of the address."""
        return f"STAFF#{digest}"


def lost_race(error: PynamoDBException) -> bool:
    """Tell whether a write failed because its condition did not hold (any more)."""
    return error.cause_response_code == "ConditionalCheckFailedException"


def is_over(moment: datetime | None, now: datetime) -> bool:
    """Tell whether a time limit has passed; DynamoDB removes records by TTL hours later only."""
    return moment is not None and moment <= now


ALL: tuple[type[Table], ...] = (IdentityTable,)
