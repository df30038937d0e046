"""Settings for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import sbc.core

# The same examples in every run: a failure in CI is a failure at home. Deadlines judge the machine, not the code.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=100)
settings.register_profile(
    "fuzz", deadline=None, max_examples=50_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--core", choices=("any", "compiled"), default="any", help="compiled: fail when the core is not")
    parser.addoption("--fuzz-seconds", type=float, default=4.0, help="how long each fuzz target in C runs")
    parser.addoption("--peers", type=Path, help="folder that .ci/peers filled: run the tests with those peers as well")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--core") == "compiled" and Path(sbc.core.__file__).suffix != ".so":
        raise pytest.UsageError(f"{sbc.core.__file__} is not compiled: `make test-compiled` puts build/compiled first on the path")
