"""An instance is announced when it can be found, and no listener can undo it."""

from __future__ import annotations

from pacs_sdk.core.events import InstanceStored
from tests.storage.archive_parts import Parts, content
from tests.storage.made_instances import CT, made_instance


def test_an_instance_is_announced_when_it_can_be_found(parts: Parts) -> None:
    """Whoever hears of an instance can open it at once."""
    heard: list[tuple[InstanceStored, bytes]] = []

    def hear(event: InstanceStored) -> None:
        opened = parts.archive.open(event.sop_instance_uid).unwrap()
        heard.append((event, content(opened)))

    parts.bus.subscribe(InstanceStored, hear)
    sent = made_instance()
    stored = parts.archive.store(sent).unwrap()
    event = InstanceStored("1.2", "1.2.3", sent.sop_instance_uid, CT, stored.size_bytes)
    assert heard == [(event, content(sent))]


def test_a_listener_that_fails_does_not_fail_the_store(parts: Parts) -> None:
    """What is stored is stored, whatever others make of it."""

    def hear(_: InstanceStored) -> None:
        raise RuntimeError("not my day")

    parts.bus.subscribe(InstanceStored, hear)
    assert parts.archive.store(made_instance()).unwrap().created
    assert parts.logger.named("event-handler-failed")
