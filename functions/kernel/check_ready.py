"""GET /v1/health/ready: whether the API can reach its database."""

from kernel import health
from kernel.health import Health
from kernel.http import Visitor, endpoint


@endpoint("GET", "/v1/health/ready")
def handler(_visitor: Visitor) -> Health:
    return health.ready()
