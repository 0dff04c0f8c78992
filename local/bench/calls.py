"""DynamoDB calls before the handler: one for a token, two for an API key."""

from local.bench.figures import Figure
from local.bench.offline import Offline


def measure(offline: Offline) -> list[Figure]:
    """Return how many DynamoDB calls admission makes on a warm worker."""
    figures = []
    for name, headers, target in (
        ("dynamodb_calls_before_handler_jwt", offline.bearer, 1),
        ("dynamodb_calls_before_handler_api_key", offline.api_key, 2),
    ):
        offline.handle(headers)
        offline.transport.calls.clear()
        offline.handle(headers)
        figures.append(
            Figure(
                name=name,
                value=float(len(offline.before_operation())),
                unit="calls",
                baseline="counted at botocore's transport",
                target=float(target),
            )
        )
    return figures
