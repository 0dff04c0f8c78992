"""The workshop: an emulator, the sandbox and a worker, one for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.emulator.billing.workshop import Workshop, open_workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("workshop")) as opened:
        yield opened
