"""GET /v1/captured-mails: list the mail of the caller's test tenant, newest first."""

from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller
from notifications import captured
from notifications.errors import MailNotCapturedError
from notifications.models import CapturedMail


@endpoint("GET", "/v1/captured-mails", permission="test_clock:read", errors=(MailNotCapturedError,))
def handler(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page[CapturedMail]:
    return captured.page(caller, limit=limit, cursor=cursor)
