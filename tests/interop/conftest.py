"""A lab of network namespaces for each test, and the SBC running in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import namespaces, server
from tests.interop.flows import Flows
from tests.interop.namespaces import Lab
from tests.interop.server import POLICY, Server

HERE = Path(__file__).parent
FETCHED = ("aiortc", "asterisk", "browser", "carrier", "secure_sipp")  # folders of tests whose peers `make test` does not install


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.namespaces)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.parent == HERE and collection_path.name in FETCHED and not config.getoption("--peers") else None


@pytest.fixture
def peers(pytestconfig: pytest.Config) -> Path:
    """Where .ci/peers put them."""
    return Path(pytestconfig.getoption("--peers"))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with namespaces.lab() as made:
        yield made


@pytest.fixture
def sbc_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with server.serve(lab, tmp_path / "sbc") as running:
        yield running


@pytest.fixture(scope="module")
def policy() -> str:
    """Of the SBC of `flows`. A test module that needs another has a fixture of this name."""
    return POLICY


@pytest.fixture(scope="module")
def flows(policy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    """One lab and one SBC for all tests of a module."""
    with namespaces.lab() as made, server.serve(made, tmp_path_factory.mktemp("flows") / "sbc", policy) as running:
        yield Flows(made, running)
