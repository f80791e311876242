from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pacs_sdk.core import Clock
from pacs_sdk.testing import FakeClock


def test_time_stands_still() -> None:
    """Asking twice gives the same answer."""
    clock: Clock = FakeClock()
    assert clock.now() == clock.now()
    assert clock.monotonic() == clock.monotonic() == 0


def test_both_times_move_together() -> None:
    """Advancing moves the time of day and the monotonic time by the same."""
    clock = FakeClock(datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC))
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now() == datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert clock.monotonic() == 1.5
    assert repr(clock) == "<FakeClock 2024-01-01T00:00:00.500000+00:00>"


def test_the_time_is_utc() -> None:
    """Whatever zone the start is given in, the port's promise is UTC."""
    clock = FakeClock(datetime(2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2024, 2, 29, 23, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_impossible_times_are_refused() -> None:
    """No time without a zone, no time that runs backwards."""
    with pytest.raises(ValueError, match="no time zone"):
        FakeClock(datetime(2024, 1, 1))  # noqa: DTZ001  # that is the mistake
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)
