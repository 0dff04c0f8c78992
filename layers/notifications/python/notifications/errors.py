"""What can go wrong with a mail.

MailNotCapturedError        403  notifications.mail_not_captured   (the API's)

MailError                        inside: a subscriber fails with it, SQS repeats it
├── ContactUnknownError          the tenant's address has not arrived yet
├── MailInFlightError            another attempt runs, or its outcome is not known yet
├── ReopenedError                the tenant was reactivated while its mail was put aside
├── NotSentError                 SES did certainly not take it: down, throttled, misconfigured
└── OutcomeUnknownError          no answer: SES may have taken it

RejectedError                    SES refuses this mail for good: recorded, not repeated
"""

from kernel.errors import ForbiddenError


class MailNotCapturedError(ForbiddenError):
    """The mail of live tenants is sent, and its text is kept nowhere."""

    code = "notifications.mail_not_captured"
    title = "Mail is captured for test tenants only"


class MailError(Exception):
    """A mail that was not sent (as far as is known) and must be tried again."""


class ContactUnknownError(MailError):
    """The tenant's address has not arrived yet: events come in any order."""


class MailInFlightError(MailError):
    """Another attempt is being made, or the outcome of the last one is not known yet."""


class ReopenedError(MailError):
    """The tenant was reactivated while its mail was put aside."""


class NotSentError(MailError):
    """SES did certainly not take the mail; trying again cannot send it twice."""


class OutcomeUnknownError(MailError):
    """SES gave no answer: it may have taken the mail or not."""


class RejectedError(Exception):
    """SES refuses this mail for good: its recipient or content is not acceptable."""
