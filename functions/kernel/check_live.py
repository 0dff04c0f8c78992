"""GET /v1/health/live: whether the API answers at all."""

from kernel import health
from kernel.health import Health
from kernel.http import Visitor, endpoint


@endpoint("GET", "/v1/health/live", limited=False)
def handler(_visitor: Visitor) -> Health:
    return health.live()
