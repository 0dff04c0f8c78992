"""POST /v1/staff/logout: end the present session of platform staff at once."""

from identity import staff
from kernel.http import endpoint
from kernel.principals import Staff


@endpoint("POST", "/v1/staff/logout", status=204)
def handler(caller: Staff) -> None:
    """End the session."""
    staff.log_out(caller)
