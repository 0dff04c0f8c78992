"""The mails that exist, and what each may do.

    template          about   suspended for payment / other reasons   despite a complaint
    verification      person  sent / sent                             no
    address_known     person  sent / sent                             no
    password_reset    person  sent / sent                             yes
    password_changed  person  sent / sent                             yes
    welcome           tenant  withheld / withheld                     no
    key_created       tenant  sent / sent                             yes
    trial_ending      tenant  sent / withheld                         no
    receipt           tenant  sent / withheld                         no
    payment_failed    tenant  sent / withheld                         no
    suspended         tenant  sent / sent                             yes
    reactivated       tenant  sent / sent                             yes

- Mail about a *person* proves a mailbox or guards an account that belongs to no one tenant; it is
  really sent in every mode, or nobody could register a test tenant or get back into it. Mail about
  a *tenant* is captured for test tenants.
- While suspended for `payment`, everything that helps to cure it goes out. Under `abuse`,
  `blacklisted` and `terms`, only the notices of suspension and reactivation and what guards the
  account do. What is withheld is sent when the suspension is lifted, if it is still useful.
- An address that bounced for good gets nothing: it would not arrive and costs reputation. One
  that complained still gets what guards its account and the notices of suspension, but not what a
  stranger can cause by typing the address into the registration form.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from kernel.gate import Access

AFTERMATH: Final = timedelta(days=30)
"""How long a mail is remembered after its use is over: complaints come late. An event that old is
not mailed any more, so forgetting sends nothing twice, and keeps no strangers' traces for long."""

CAPTURED_RETENTION: Final = timedelta(days=30)
"""How long the mail of test tenants can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of mail; `templates/<name>.jinja` holds its words."""

    name: str
    about: Literal["person", "tenant"]
    access: Access = Access.OPEN
    despite_complaint: bool = False
    useful_for: timedelta = timedelta(days=14)

    @property
    def retention(self) -> timedelta:
        """How long it is remembered that such a mail was sent."""
        return self.useful_for + AFTERMATH


VERIFICATION: Final = Template(name="verification", about="person", useful_for=timedelta(hours=24))
ADDRESS_KNOWN: Final = Template(
    name="address_known", about="person", useful_for=timedelta(hours=24)
)
PASSWORD_RESET: Final = Template(
    name="password_reset", about="person", despite_complaint=True, useful_for=timedelta(hours=1)
)
PASSWORD_CHANGED: Final = Template(name="password_changed", about="person", despite_complaint=True)
WELCOME: Final = Template(name="welcome", about="tenant", access=Access.CLOSED)
KEY_CREATED: Final = Template(name="key_created", about="tenant", despite_complaint=True)
TRIAL_ENDING: Final = Template(
    name="trial_ending", about="tenant", access=Access.CURE, useful_for=timedelta(days=3)
)
RECEIPT: Final = Template(
    name="receipt", about="tenant", access=Access.CURE, useful_for=timedelta(days=365)
)
PAYMENT_FAILED: Final = Template(name="payment_failed", about="tenant", access=Access.CURE)
SUSPENDED: Final = Template(name="suspended", about="tenant", despite_complaint=True)
REACTIVATED: Final = Template(name="reactivated", about="tenant", despite_complaint=True)

ALL: Final = (
    VERIFICATION,
    ADDRESS_KNOWN,
    PASSWORD_RESET,
    PASSWORD_CHANGED,
    WELCOME,
    KEY_CREATED,
    TRIAL_ENDING,
    RECEIPT,
    PAYMENT_FAILED,
    SUSPENDED,
    REACTIVATED,
)
