"""Clients of the local AWS, made by localstack-client, so that LocalStack itself serves as well."""

import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import localstack_client.session
from botocore.config import Config

from local import settings

CONFIG = Config(
    connect_timeout=5,
    read_timeout=120,
    retries={"total_max_attempts": 2},
    s3={"addressing_style": "path"},
)


class Clients:
    """Hands out one boto3 client a service, with the root credentials of one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        # localstack-client prefers this variable to what it is told; it may name another account.
        foreign = os.environ.pop("AWS_ENDPOINT_URL", None)
        try:
            self._session = localstack_client.session.Session(
                aws_access_key_id="test",
                aws_secret_access_key="test",
                region_name=settings.REGION,
                localstack_host=urlsplit(endpoint).netloc,
            )
        finally:
            if foreign is not None:
                os.environ["AWS_ENDPOINT_URL"] = foreign
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        return self._session.client(service, config=CONFIG)
