"""POST /v1/staff/login: sign in as platform staff; the second factor is not optional."""

from identity import staff
from identity.errors import InvalidCredentialsError, SignInLockedError
from identity.models.staff import LogInStaff, StaffLoggedIn
from kernel.http import endpoint
from kernel.principals import Visitor


@endpoint("POST", "/v1/staff/login", errors=(InvalidCredentialsError, SignInLockedError))
def handler(visitor: Visitor, body: LogInStaff) -> StaffLoggedIn:
    """Open a session of half an hour."""
    return staff.log_in(visitor, body)
