from pathlib import Path

import pytest

from tests.infra.assembly import Assembly, synthesise


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a synthesis on one worker."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("infra"))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return _assembly("local", tmp_path_factory)


@pytest.fixture(scope="session")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return _assembly("staging", tmp_path_factory)


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return _assembly("production", tmp_path_factory, schemas=False)


@pytest.fixture(params=["local", "staging", "production"])
def assembly(request: pytest.FixtureRequest) -> Assembly:
    """Each stage in turn."""
    value = request.getfixturevalue(request.param)
    assert isinstance(value, Assembly)
    return value


def _assembly(
    stage: str, tmp_path_factory: pytest.TempPathFactory, *, schemas: bool = True
) -> Assembly:
    folder = tmp_path_factory.mktemp(stage)
    finished = synthesise(stage, folder, schemas=schemas)
    if finished.returncode:
        pytest.fail(f"{stage} does not synthesise:\n{finished.stdout}{finished.stderr[-4_000:]}")
    return Assembly(folder, stage)
