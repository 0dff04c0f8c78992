"""The deployed system as a caller meets it: where its URLs are and how to reach AWS behind them."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from local import settings
from local.errors import LocalError
from local.session import Clients


@dataclass(frozen=True)
class System:
    """One deployed Mailroom on one emulator."""

    endpoint: str
    clients: Clients = field(repr=False)

    @classmethod
    def at(cls, endpoint: str) -> "System":
        """Describe what is deployed behind an endpoint."""
        return cls(endpoint, Clients(endpoint))

    def client(self, service: str) -> Any:
        """Return a boto3 client with root credentials."""
        return self.clients.client(service)

    @cached_property
    def api_url(self) -> str:
        """The public HTTP API; paths such as /v1/users follow."""
        parameter = f"/mailroom/{settings.stage()}/http-api-id"
        try:
            found = self.client("ssm").get_parameter(Name=parameter)
        except ClientError as error:
            raise LocalError(f"parameter {parameter} is missing: run `make up`") from error
        return f"{self.endpoint}/_aws/execute-api/{found['Parameter']['Value']}"

    @property
    def mailbox_url(self) -> str:
        """Every mail that was sent, as JSON."""
        return f"{self.endpoint}/_ministack/ses/messages"

    @cached_property
    def sandbox_url(self) -> str | None:
        """The providers' fakes, where the stage has them."""
        name = f"mailroom-{settings.stage()}-sandbox"
        gateway = self.client("apigateway")
        for api in gateway.get_rest_apis(limit=500)["items"]:
            if api["name"] == name:
                stage = gateway.get_stages(restApiId=api["id"])["item"][0]["stageName"]
                return f"{self.endpoint}/_aws/execute-api/{api['id']}/{stage}"
        return None

    def function_url(self, function: str) -> str:
        """Return the Lambda URL of a function, e.g. `billing-receive_stripe_webhook`."""
        name = f"mailroom-{settings.stage()}-{function}"
        try:
            config = self.client("lambda").get_function_url_config(FunctionName=name)
        except ClientError as error:
            raise LocalError(f"{name} has no function URL") from error
        host = urlsplit(config["FunctionUrl"]).hostname or ""
        return f"{self.endpoint}/_aws/lambda-url/{host.split('.')[0]}"

    def webhook_urls(self) -> dict[str, str]:
        """Map every function that providers call to its URL."""
        prefix = f"mailroom-{settings.stage()}-"
        functions = [
            function["FunctionName"].removeprefix(prefix)
            for page in self.client("lambda").get_paginator("list_functions").paginate()
            for function in page["Functions"]
            if function["FunctionName"].startswith(prefix)
        ]
        urls = {}
        for function in functions:
            try:
                urls[function] = self.function_url(function)
            except LocalError:
                continue
        return urls


def write_places(system: System, home: settings.Home, told: Mapping[str, str]) -> None:
    """Write what the tour reads; what an earlier seeding told stays."""
    with contextlib.suppress(FileNotFoundError):
        told = {**json.loads(home.places.read_text()), **told}
    places = {
        **told,
        "api": system.api_url,
        "sandbox": system.sandbox_url or "",
        "mailbox": system.mailbox_url,
    }
    home.places.touch(mode=0o600)
    home.places.write_text(json.dumps(places, indent=2))
