"""The Lambda: `handler` takes REST API requests and deliveries, `api` is the Chalice app."""

from typing import Any

from chalice.app import Chalice

from sandbox import control, providers, settings, webhooks
from sandbox.fake_stripe import challenges as stripe_challenges
from sandbox.fake_stripe import routes as stripe_routes
from sandbox.fake_stripe.provider import FakeStripe
from sandbox.storage import Json

if settings.STAGE == "production":
    raise RuntimeError("the sandbox has no place in production")

providers.register(FakeStripe())

api = Chalice(app_name="mailroom-sandbox")
api.register_blueprint(stripe_routes.blueprint)
api.register_blueprint(control.blueprint)
api.register_blueprint(stripe_challenges.blueprint)


def handler(event: Json, context: Any) -> Any:
    """Deliver webhooks if that is what we were invoked for, else answer an HTTP request."""
    if "deliver" in event:
        from sandbox import delivery  # with `requests`, which HTTP requests do not need

        return {"attempts": len(delivery.deliver(webhooks.tasks_of(event)))}
    return api(event, context)


def routes() -> list[tuple[str, list[str]]]:
    """The paths and methods that the REST API in front has to route to `handler`."""
    return [(path, sorted(methods)) for path, methods in sorted(api.routes.items())]
