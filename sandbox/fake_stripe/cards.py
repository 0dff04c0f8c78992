"""Stripe's test cards: https://docs.stripe.com/testing, by name, never by number.

`pm_card_<name>` is a test PaymentMethod, `tok_<name>` a test token. Stripe's names begin with the
brand in some cases and not in others (`pm_card_visa_chargeDeclined`, `pm_card_chargeDeclined`):
both are taken.
"""

from dataclasses import dataclass
from enum import Enum

from sandbox.fake_stripe.errors import CARD_ERROR, ApiError


class Authentication(Enum):
    """When a card's issuer asks for 3-D Secure."""

    NEVER = "never"
    ALWAYS = "always"
    UNLESS_SET_UP = "unless_set_up"  # off session only once it was set up with authentication
    ON_SESSION = "on_session"  # as if set up already: off session never


@dataclass(frozen=True)
class Decline:
    """Why a card is declined."""

    code: str
    decline_code: str
    message: str

    def error(self, charge_id: str | None = None) -> ApiError:
        """The 402 that a client gets; what the attempt changed stays."""
        return ApiError(
            402,
            self.message,
            kind=CARD_ERROR,
            code=self.code,
            persists=True,
            details={"charge": charge_id, "decline_code": self.decline_code},
        )


@dataclass(frozen=True)
class TestCard:
    """What a test card is and does."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    name: str
    brand: str = "visa"
    last4: str = "4242"
    funding: str = "credit"
    refused_at_setup: Decline | None = None
    refused_at_charge: Decline | None = None
    authentication: Authentication = Authentication.NEVER
    refund: str = "succeeded"


class Verdict(Enum):
    """What an issuer may say beside declining."""

    APPROVED = "approved"
    CHALLENGE = "challenge"


AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)

# Codes that are an error code of their own; every other reason is a decline_code of card_declined.
_OWN_CODES = {
    "authentication_required": AUTHENTICATION_REQUIRED,
    "expired_card": Decline("expired_card", "expired_card", "Your card has expired."),
    "incorrect_cvc": Decline(
        "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "processing_error": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
}


def decline(reason: str) -> Decline:
    """The decline of a reason: https://docs.stripe.com/declines/codes."""
    if reason in _OWN_CODES:
        return _OWN_CODES[reason]
    message = (
        "Your card has insufficient funds."
        if reason == "insufficient_funds"
        else "Your card was declined."
    )
    return Decline("card_declined", reason, message)


def _declining(name: str, last4: str, reason: str) -> TestCard:
    """A card that is declined at setup and at charge alike."""
    refused = decline(reason)
    return TestCard(name, last4=last4, refused_at_setup=refused, refused_at_charge=refused)


_CARDS = (
    TestCard("visa"),
    TestCard("visa_debit", last4="5556", funding="debit"),
    TestCard("mastercard", "mastercard", "4444"),
    TestCard("mastercard_debit", "mastercard", "8210", "debit"),
    TestCard("amex", "amex", "0005"),
    TestCard("discover", "discover", "1117"),
    TestCard("us"),
    _declining("chargeDeclined", "0002", "generic_decline"),
    _declining("chargeDeclinedInsufficientFunds", "9995", "insufficient_funds"),
    _declining("chargeDeclinedLostCard", "9987", "lost_card"),
    _declining("chargeDeclinedStolenCard", "9979", "stolen_card"),
    _declining("chargeDeclinedFraudulent", "0019", "fraudulent"),
    _declining("chargeDeclinedExpiredCard", "0069", "expired_card"),
    _declining("chargeDeclinedIncorrectCvc", "0127", "incorrect_cvc"),
    _declining("chargeDeclinedProcessingError", "0119", "processing_error"),
    TestCard("chargeCustomerFail", last4="0341", refused_at_charge=decline("generic_decline")),
    TestCard("authenticationRequired", last4="3184", authentication=Authentication.ALWAYS),
    TestCard("threeDSecure2Required", last4="3220", authentication=Authentication.ALWAYS),
    TestCard(
        "authenticationRequiredOnSetup",
        last4="3155",
        authentication=Authentication.UNLESS_SET_UP,
    ),
    TestCard(
        "authenticationRequiredSetupForOffSession",
        last4="0446",
        authentication=Authentication.ON_SESSION,
    ),
    TestCard(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        last4="3178",
        refused_at_charge=decline("insufficient_funds"),
        authentication=Authentication.ALWAYS,
    ),
    TestCard("pendingRefund", last4="7726", refund="pending"),
    TestCard("refundFail", last4="5126", refund="failed"),
)
_BY_NAME = {card.name: card for card in _CARDS}


def by_name(name: str) -> TestCard | None:
    """The card of a name after `pm_card_` or `tok_`."""
    return _BY_NAME.get(name) or _BY_NAME.get(name.removeprefix("visa_"))


def judge_setup(card: TestCard, *, authenticated: bool) -> Verdict | Decline:
    """What the issuer says when a card is saved for later."""
    asks = (Authentication.ALWAYS, Authentication.UNLESS_SET_UP)
    if card.authentication in asks and not authenticated:
        return Verdict.CHALLENGE
    return card.refused_at_setup or Verdict.APPROVED


def judge_charge(
    card: TestCard, *, off_session: bool, authenticated: bool, set_up: bool
) -> Verdict | Decline:
    """What the issuer says to a charge; off session nobody is there to be challenged."""
    needed = {
        Authentication.NEVER: False,
        Authentication.ALWAYS: True,
        Authentication.UNLESS_SET_UP: not (off_session and set_up),
        Authentication.ON_SESSION: not off_session,
    }[card.authentication]
    if needed and not authenticated:
        return AUTHENTICATION_REQUIRED if off_session else Verdict.CHALLENGE
    return card.refused_at_charge or Verdict.APPROVED
