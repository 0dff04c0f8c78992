"""Ids in paths: what has another shape is a 422, what is nobody's or somebody else's a 404."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from kernel.ids import LIVE_TENANT, TEST_TENANT, id_pattern

ApiKeyPath = Annotated[str, Path(pattern=id_pattern("key"), description="Id of the API key.")]
SessionPath = Annotated[str, Path(pattern=id_pattern("ses"), description="Id of the session.")]
TenantPath = Annotated[
    str, Path(pattern=id_pattern(LIVE_TENANT, TEST_TENANT), description="Id of the tenant.")
]
