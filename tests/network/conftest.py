"""What the tests of both drivers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network.servers import DRIVERS, driver_in_use


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test with each driver."""
    before = driver_in_use.name
    driver_in_use.name = request.param
    yield request.param
    driver_in_use.name = before
