"""The table `billing`: the only module that queries it.

| record        | pk                        | sk                                  |
|---------------|---------------------------|-------------------------------------|
| account       | tenant                    | `ACCOUNT`                           |
| subscription  | tenant                    | `sub_…`                             |
| product       | tenant                    | `PRODUCT#<product>`                 |
| invoice       | tenant                    | `inv_…`, derived from the period    |
| attempt       | tenant                    | `ATTEMPT#<invoice>#<attempt>`       |
| payment method| tenant                    | `card_…`, derived from Stripe's id  |
| setup intent  | tenant                    | `setup_…`                           |
| ledger entry  | tenant                    | `led_…`, derived from its movement  |
| chargeback    | tenant                    | `chb_…`                             |
| look-up       | `STRIPE#<Stripe's id>`    | `TENANT`                            |
| webhook       | `WEBHOOK#stripe#<event>`  | `WEBHOOK`                           |

Stripe's own identifiers are kept beside ours and never shown.
"""

from datetime import datetime
from typing import Any, ClassVar, TypeVar

from pynamodb.attributes import (
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)

from kernel import tables
from kernel.ids import derive_id
from kernel.settings import resource_name
from kernel.tables import Table


class BillingTable(Table):
    """What billing knows of a tenant."""

    class Meta:
        table_name = resource_name("billing")

    kind = DiscriminatorAttribute()


class AccountRecord(BillingTable, discriminator="account"):
    """A tenant at Stripe: its customer, default card and open invoices (as `open_entry`)."""

    SORT_KEY: ClassVar[str] = "ACCOUNT"

    stripe_customer_id = UnicodeAttribute()
    default_payment_method_id = UnicodeAttribute(null=True)
    open_invoices = UnicodeSetAttribute(null=True)


class SubscriptionRecord(BillingTable, discriminator="subscription"):
    """A tenant's plan of one product, and how far it is paid."""

    product = UnicodeAttribute()
    plan = UnicodeAttribute()
    status = UnicodeAttribute()
    started_at = UTCDateTimeAttribute()
    trial_ends_at = UTCDateTimeAttribute(null=True)
    reminded_at = UTCDateTimeAttribute(null=True)
    period_starts_at = UTCDateTimeAttribute(null=True)
    period_ends_at = UTCDateTimeAttribute(null=True)
    version = VersionAttribute()

    @property
    def is_converted(self) -> bool:
        """Tell whether a period of the plan has been paid; until then its trial terms hold."""
        return self.period_starts_at is not None


class ProductRecord(BillingTable, discriminator="product"):
    """Holds a tenant to one subscription per product."""

    subscription_id = UnicodeAttribute()

    @staticmethod
    def sort_key(product: str) -> str:
        """Return the sort key of a product."""
        return f"PRODUCT#{product}"


class InvoiceRecord(BillingTable, discriminator="invoice"):
    """What is owed for one period; while an attempt is under way the status is `charging`."""

    OPEN: ClassVar[str] = "open"
    CHARGING: ClassVar[str] = "charging"
    PAID: ClassVar[str] = "paid"

    subscription_id = UnicodeAttribute()
    status = UnicodeAttribute(default=OPEN)
    currency = UnicodeAttribute()
    total = NumberAttribute()
    refunded = NumberAttribute(default=0)
    lines: JSONAttribute = JSONAttribute()
    period_starts_at = UTCDateTimeAttribute()
    period_ends_at = UTCDateTimeAttribute()
    finalised_at = UTCDateTimeAttribute()
    due_at = UTCDateTimeAttribute()
    paid_at = UTCDateTimeAttribute(null=True)
    next_attempt_at = UTCDateTimeAttribute(null=True)
    attempt = UnicodeAttribute(null=True)
    failure: JSONAttribute = JSONAttribute(null=True)
    card = UnicodeAttribute(null=True)
    stripe_payment_intent_id = UnicodeAttribute(null=True)
    version = VersionAttribute()

    @property
    def description(self) -> str:
        """Return the invoice's lines in one."""
        return "; ".join(line["description"] for line in self.lines)

    @property
    def open_entry(self) -> str:
        """Return how `AccountRecord.open_invoices` names the invoice."""
        return f"{self.subscription_id}#{self.sk}"


class AttemptRecord(BillingTable, discriminator="attempt"):
    """The intent to charge an invoice once, recorded before Stripe is called, and its outcome.

    `name` is a number for scheduled attempts, and begins with `r` for what somebody requested.
    `started_at` is wall time, as Stripe's memory of idempotency keys is.
    """

    STARTED: ClassVar[str] = "started"
    SUCCEEDED: ClassVar[str] = "succeeded"
    FAILED: ClassVar[str] = "failed"
    WITHDRAWN: ClassVar[str] = "withdrawn"

    invoice_id = UnicodeAttribute()
    name = UnicodeAttribute()
    status = UnicodeAttribute(default=STARTED)
    started_at = UTCDateTimeAttribute()
    amount = NumberAttribute()
    currency = UnicodeAttribute()
    description = UnicodeAttribute()
    card = UnicodeAttribute(null=True)
    stripe_customer_id = UnicodeAttribute()
    stripe_payment_method_id = UnicodeAttribute(null=True)
    stripe_payment_intent_id = UnicodeAttribute(null=True)
    failure: JSONAttribute = JSONAttribute(null=True)

    @staticmethod
    def sort_key(invoice_id: str, name: str) -> str:
        """Return the sort key of an invoice's attempt."""
        return f"ATTEMPT#{invoice_id}#{name}"

    @property
    def idempotency_key(self) -> str:
        """Return the key under which Stripe makes this charge at most once."""
        return f"{self.invoice_id}:{self.name}"

    @property
    def scheduled(self) -> int | None:
        """Return the attempt's number in the dunning schedule; None when it was requested."""
        return int(self.name) if self.name.isdecimal() else None

    @property
    def is_over(self) -> bool:
        """Tell whether the attempt has an outcome."""
        return self.status in {self.SUCCEEDED, self.FAILED}


class PaymentMethodRecord(BillingTable, discriminator="payment_method"):
    """A card that Stripe keeps; of its number only the last four digits are here."""

    stripe_payment_method_id = UnicodeAttribute()
    brand = UnicodeAttribute()
    last4 = UnicodeAttribute()
    exp_month = NumberAttribute()
    exp_year = NumberAttribute()
    created_at = UTCDateTimeAttribute()

    @property
    def card(self) -> str:
        """Return the card as mails show it, e.g. `visa ending 4242`."""
        return f"{self.brand} ending {self.last4}"

    @staticmethod
    def id_of(stripe_payment_method_id: str, created_at: datetime) -> str:
        """Return the one id of a card of Stripe's."""
        return derive_id("card", created_at, stripe_payment_method_id)


class SetupIntentRecord(BillingTable, discriminator="setup_intent"):
    """Somebody began to save a card; kept as long as its Idempotency-Key."""

    stripe_setup_intent_id = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()


class LedgerEntryRecord(BillingTable, discriminator="ledger_entry"):
    """One movement of money or debt; never changed. Positive amounts are owed by the tenant."""

    type = UnicodeAttribute()
    amount = NumberAttribute()
    currency = UnicodeAttribute()
    invoice_id = UnicodeAttribute()
    occurred_at = UTCDateTimeAttribute()
    provider_id = UnicodeAttribute(null=True)


class ChargebackRecord(BillingTable, discriminator="chargeback"):
    """A cardholder disputes a payment at the bank."""

    invoice_id = UnicodeAttribute()
    amount = NumberAttribute()
    currency = UnicodeAttribute()
    reason = UnicodeAttribute()
    opened_at = UTCDateTimeAttribute()
    provider_id = UnicodeAttribute()


class LookupRecord(BillingTable, discriminator="lookup"):
    """Whose an object of Stripe's is; that of a removed card stays, so that it cannot return."""

    SORT_KEY: ClassVar[str] = "TENANT"

    tenant_id = UnicodeAttribute()
    resource_id = UnicodeAttribute()
    removed_at = UTCDateTimeAttribute(null=True)

    @classmethod
    def of(cls, stripe_id: str, **attributes: Any) -> "LookupRecord":
        """Return the look-up of an object of Stripe's, with its keys set."""
        return cls(pk=f"STRIPE#{stripe_id}", sk=cls.SORT_KEY, **attributes)

    @classmethod
    def find(cls, stripe_id: str) -> "LookupRecord | None":
        """Return the look-up of an object of Stripe's by a consistent read, or None."""
        return tables.find(cls, f"STRIPE#{stripe_id}", cls.SORT_KEY)


class WebhookRecord(BillingTable, discriminator="webhook"):
    """A verified event of Stripe's, and what came of it; its body may hold a name and address."""

    RECEIVED: ClassVar[str] = "received"

    connection_id = UnicodeAttribute()
    event_type = UnicodeAttribute()
    object_id = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    received_at = UTCDateTimeAttribute()
    body_hash = UnicodeAttribute()
    status = UnicodeAttribute(default=RECEIVED)
    detail = UnicodeAttribute(null=True)

    @classmethod
    def of(cls, event_id: str, **attributes: Any) -> "WebhookRecord":
        """Return the record of an event, with its keys set."""
        return cls(pk=f"WEBHOOK#stripe#{event_id}", sk="WEBHOOK", **attributes)

    @classmethod
    def find(cls, event_id: str) -> "WebhookRecord | None":
        """Return an event by a consistent read, or None."""
        return tables.find(cls, f"WEBHOOK#stripe#{event_id}", "WEBHOOK")


RecordT = TypeVar("RecordT", bound=BillingTable)

SUBSCRIPTIONS = "sub_"
INVOICES = "inv_"
PAYMENT_METHODS = "card_"
LEDGER_ENTRIES = "led_"


class Bundle(dict[str, BillingTable]):
    """Records of one tenant that were read together, by their sort keys."""

    def one(self, model: type[RecordT], sk: str) -> RecordT | None:
        """Return the record with this sort key, or None."""
        record = self.get(sk)
        return record if isinstance(record, model) else None


def fetch(tenant_id: str, *sort_keys: str) -> Bundle:
    """Read records of a tenant consistently in one call."""
    keys = [(tenant_id, sort_key) for sort_key in dict.fromkeys(sort_keys)]
    found = BillingTable.batch_get(keys, consistent_read=True)
    return Bundle({record.sk: record for record in found})


def find_account(tenant_id: str) -> AccountRecord | None:
    """Return a tenant's account by a consistent read, or None."""
    return tables.find(AccountRecord, tenant_id, AccountRecord.SORT_KEY)


def all_of(model: type[RecordT], tenant_id: str, prefix: str) -> list[RecordT]:
    """Return all of a tenant's records whose sort keys begin with `prefix`, oldest first."""
    return list(model.query(tenant_id, model.sk.startswith(prefix), consistent_read=True))


ALL: tuple[type[Table], ...] = (BillingTable,)
