"""The bus that carries events inside one process."""

from __future__ import annotations

import threading

import attrs
import pytest

from pacs_sdk.core.events import InProcessEventBus, InstanceStored
from pacs_sdk.core.ports import NullLogger


@attrs.frozen
class Rang:
    """A made-up event."""

    number: int
    """Which."""


class RangLoudly(Rang):
    """A kind of that event."""


class ErrorLog(NullLogger):
    """Remembers errors."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, dict[str, object]]] = []

    def error(self, event: str, **fields: object) -> None:
        self.errors.append((event, fields))


def test_delivery_in_order() -> None:
    """Each subscriber gets each event, in the order of subscription, before publish returns."""
    bus, heard = InProcessEventBus(), list[str]()
    bus.subscribe(Rang, lambda event: heard.append(f"first {event.number}"))
    bus.subscribe(Rang, lambda event: heard.append(f"second {event.number}"))
    bus.publish(Rang(1))
    bus.publish(Rang(2))
    assert heard == ["first 1", "second 1", "first 2", "second 2"]


def test_by_exact_type() -> None:
    """Only events of exactly the subscribed type are delivered; others are nobody's business."""
    bus, heard = InProcessEventBus(), list[Rang]()
    bus.subscribe(Rang, heard.append)
    bus.publish(RangLoudly(1))
    bus.publish("nobody listens")
    assert heard == []


def test_cancel() -> None:
    """A cancelled subscription gets nothing more; cancelling twice is harmless."""
    bus, heard = InProcessEventBus(), list[Rang]()
    subscription = bus.subscribe(Rang, heard.append)
    other = bus.subscribe(Rang, heard.append)
    bus.publish(Rang(1))
    subscription.cancel()
    subscription.cancel()
    bus.publish(Rang(2))
    assert heard == [Rang(1), Rang(1), Rang(2)]
    other.cancel()
    bus.publish(Rang(3))
    assert len(heard) == 3


def test_cancel_during_delivery() -> None:
    """A handler may cancel itself; the event it came with still reaches the others."""
    bus, heard = InProcessEventBus(), list[str]()

    def once(event: Rang) -> None:
        heard.append("once")
        subscription.cancel()

    subscription = bus.subscribe(Rang, once)
    bus.subscribe(Rang, lambda event: heard.append("always"))
    bus.publish(Rang(1))
    bus.publish(Rang(2))
    assert heard == ["once", "always", "always"]


def test_failing_handler() -> None:
    """A handler that raises is logged by name of the event, and stops nobody."""
    log, heard = ErrorLog(), list[Rang]()
    bus = InProcessEventBus(log)

    def fail(event: Rang) -> None:
        raise ValueError("broken")

    bus.subscribe(Rang, fail)
    bus.subscribe(Rang, heard.append)
    bus.publish(Rang(1))
    assert heard == [Rang(1)]
    fields = {"event_type": "Rang", "reason": "ValueError('broken')"}
    assert log.errors == [("event-handler-failed", fields)]


def test_subscribing_from_many_threads() -> None:
    """No subscription is lost when threads subscribe and cancel at the same time."""
    bus, heard = InProcessEventBus(), list[Rang]()
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(50):
            bus.subscribe(Rang, heard.append)
            bus.subscribe(Rang, heard.append).cancel()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.publish(Rang(1))
    assert len(heard) == 8 * 50


def test_instance_stored_is_a_value() -> None:
    """The event of a stored instance can't be changed."""
    event = InstanceStored("1.1", "1.2", "1.3", "1.4", 100)
    assert event == InstanceStored("1.1", "1.2", "1.3", "1.4", 100)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.size_bytes = 1  # type: ignore[misc]
