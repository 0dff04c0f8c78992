"""The errors of billing.

NotFoundError
├── InvoiceNotFoundError             404  billing.invoice_not_found
├── PaymentMethodNotFoundError       404  billing.payment_method_not_found
└── SubscriptionNotFoundError        404  billing.subscription_not_found
MailroomError
└── PaymentRequiredError             402  billing.payment_required
    ├── PaymentDeclinedError         402  billing.payment_declined
    └── PaymentMethodMissingError    402  billing.payment_method_missing
ConflictError
├── InvoiceNotPayableError           409  billing.invoice_not_payable
└── PaymentUnderReviewError          409  billing.payment_under_review
UnavailableError
├── AccountNotReadyError             503  billing.account_not_ready
└── StripeUnavailableError           503  billing.provider_unavailable
UnprocessableError
└── UnknownPlanError                 422  billing.plan_unknown
"""

from kernel.errors import (
    ConflictError,
    FieldError,
    MailroomError,
    NotFoundError,
    UnavailableError,
    UnprocessableError,
)


class InvoiceNotFoundError(NotFoundError):
    """No invoice of that id belongs to the tenant."""

    code, title = "billing.invoice_not_found", "There is no such invoice"


class PaymentMethodNotFoundError(NotFoundError):
    """No saved card of that id belongs to the tenant."""

    code, title = "billing.payment_method_not_found", "There is no such payment method"


class SubscriptionNotFoundError(NotFoundError):
    """No subscription of that id belongs to the tenant."""

    code, title = "billing.subscription_not_found", "There is no such subscription"


class PaymentRequiredError(MailroomError):
    """A payment is needed and was not made."""

    status, code, title = 402, "billing.payment_required", "A payment is required"


class PaymentDeclinedError(PaymentRequiredError):
    """The card was declined; `errors[0].code` is the decline code."""

    code, title = "billing.payment_declined", "The card was declined"

    def __init__(self, decline_code: str, message: str) -> None:
        error = FieldError("body.payment_method_id", decline_code, message)
        super().__init__(message, errors=[error])


class PaymentMethodMissingError(PaymentRequiredError):
    """No card was named, and none is the default."""

    code, title = "billing.payment_method_missing", "No card is saved that could be charged"


class InvoiceNotPayableError(ConflictError):
    """The invoice is paid or void already."""

    code, title = "billing.invoice_not_payable", "The invoice is not open"


class PaymentUnderReviewError(ConflictError):
    """Stripe's record of a payment contradicts ours; nobody is charged until staff looked at it."""

    code, title = "billing.payment_under_review", "A payment of this invoice is under review"


class AccountNotReadyError(UnavailableError):
    """The tenant has just registered, and its billing account does not exist yet."""

    code, title = "billing.account_not_ready", "The billing account is still being set up"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class StripeUnavailableError(UnavailableError):
    """Stripe did not answer, or not with a result: what was asked may or may not have been done."""

    code, title = "billing.provider_unavailable", "The payment provider does not answer"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "30"})


class UnknownPlanError(UnprocessableError):
    """No plan has this name."""

    code, title = "billing.plan_unknown", "There is no such plan"


class StripeMisconfiguredError(RuntimeError):
    """Stripe refuses our credentials or our request: a fault of the deployment or of the code."""


class DiscrepancyError(RuntimeError):
    """Stripe's record contradicts ours; nothing was changed, and somebody must look at it."""
