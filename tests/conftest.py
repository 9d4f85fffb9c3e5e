"""Fixtures of all tests: a namespace of one's own, and traffic in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.netns import Namespace, fresh_netns, unavailable, why_not
from support.traffic import Flows, joined

# No deadline: how fast the machine is is not what a property test is about.
# CI runs the same examples each time: new ones are sought by `make fuzz`, not by luck.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.register_profile("fuzz", settings.get_profile("tests"), max_examples=20_000)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def _namespaces() -> str | None:
    return why_not()


@pytest.fixture
def netns(_namespaces: str | None) -> Iterator[Namespace]:
    """A fresh network namespace for this test; the host's table is out of reach."""
    if _namespaces is not None:
        unavailable(_namespaces)
    with fresh_netns() as inside:
        yield inside


@pytest.fixture
def flows(netns: Namespace) -> Iterator[Flows]:
    """A fresh namespace with tracking on, joined to a peer that answers."""
    with joined(netns) as both:
        yield both
