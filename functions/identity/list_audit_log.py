"""GET /v1/audit-log: what happened in the tenant, newest first.

A page that a filter leaves short may still have a `next_cursor`: go on until it is null.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from identity import audit_log
from identity.audit_log import Filter
from identity.models.records import AuditEntry
from kernel.http import endpoint
from kernel.pagination import Cursor, Limit, Page
from kernel.principals import Caller

Wanted = Annotated[str | None, Query(min_length=1, max_length=128)]


@endpoint("GET", "/v1/audit-log", permission="audit_log:read")
def handler(
    caller: Caller,
    action: Wanted = None,
    subject: Wanted = None,
    limit: Limit = 25,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """List the journal's entries of the tenant."""
    return audit_log.list_page(caller, Filter(action, subject), limit, cursor)
