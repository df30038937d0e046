"""Settings for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples in every run: a failure in CI is a failure at home. Deadlines judge the machine, not the code.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=100)
settings.register_profile(
    "fuzz", deadline=None, max_examples=50_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("default")
