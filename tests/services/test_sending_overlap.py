"""While an instance is being answered, the next is prepared and the source is read on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import Instance
from pacs_sdk.network import DicomServer, Exchange, Peer, RetryPolicy, ServerConfig
from pacs_sdk.services import StorageScu, StoreOutcome
from tests.services.conftest import MakeInstance
from tests.services.ended_connections import EndedConnections
from tests.services.receivers import Receiver, Script, Waits, abort, receiving, take


@attrs.frozen(eq=False)
class Told(MemoryBytes):
    """Bytes that tell when they are read, which may fail."""

    on_view: Callable[[], object]

    def view(self) -> memoryview:
        """Tell it, and return all bytes."""
        self.on_view()
        return super().view()


def told(instance: Instance, on_view: Callable[[], object]) -> Instance:
    """Make an instance that tells when it is read."""
    return attrs.evolve(instance, encoded=Told(instance.encoded.view(), on_view))


def failing(error: Exception) -> Callable[[], object]:
    """Fail."""

    def fail() -> None:
        raise error

    return fail


def after(event: threading.Event) -> Script:
    """Take an image once something has happened."""

    def step(exchange: Exchange) -> None:
        assert event.wait(30)
        take(exchange)

    return step


def test_the_next_is_read_before_the_last_is_answered(make_instance: MakeInstance) -> None:
    """The peer answers the first image when the second has been read."""
    read = threading.Event()
    service = Receiver(after(read))
    sent = [make_instance(), told(make_instance(), read.set), make_instance()]
    with receiving(service) as peer:
        report = StorageScu().store(peer, sent).unwrap()
    assert [one.status for one in report.outcomes] == [0, 0, 0]
    assert service.associations == 1


def test_the_source_is_read_on_before_the_last_is_answered(make_instance: MakeInstance) -> None:
    """As the peer takes images, further ones are looked at, one each."""
    read: list[int] = []
    fifth = threading.Event()

    def stream() -> Iterator[Instance]:
        for number in range(1, 10):
            read.append(number)
            if number == 5:
                fifth.set()
            yield make_instance()

    with receiving(Receiver(take, after(fifth))) as peer:
        report = StorageScu(look_ahead=4).store(peer, stream()).unwrap()
    assert report.stored == len(read) == 9


def test_a_source_that_raises_costs_nothing_that_was_sent(make_instance: MakeInstance) -> None:
    """A bug of the caller's is raised once all that was read before has been sent."""

    def stream() -> Iterator[Instance]:
        for _ in range(5):
            yield make_instance()
        raise KeyError("mine")

    service = Receiver()
    outcomes: list[StoreOutcome] = []
    with receiving(service) as peer, pytest.raises(KeyError, match="mine"):
        StorageScu(look_ahead=4).store(peer, stream(), outcomes.append)
    assert [one.status for one in outcomes] == [0] * 5
    assert service.uids == [one.sop_instance_uid for one in outcomes]


@pytest.mark.parametrize("look_ahead", [1, 2, 256])
def test_what_is_no_source_is_an_error_wherever_it_comes(
    make_instance: MakeInstance, look_ahead: int
) -> None:
    """What was given before it has been sent; nothing after it is."""
    sent = [make_instance() for _ in range(6)]
    service = Receiver()
    with receiving(service) as peer:
        mixed: list[Any] = [*sent[:3], 42, *sent[3:]]
        error = StorageScu(look_ahead=look_ahead).store(peer, mixed).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert service.uids == [one.sop_instance_uid for one in sent[:3]]


def test_what_cannot_be_read_is_told_when_its_turn_has_come(make_instance: MakeInstance) -> None:
    """It fails while the one before is under way, whose outcome comes first."""
    gone = PacsException(ErrorCode.TRUNCATED, "it has become shorter")
    sent = [make_instance(), told(make_instance(), failing(gone)), make_instance()]
    outcomes: list[StoreOutcome] = []
    with receiving(Receiver()) as peer:
        report = StorageScu().store(peer, sent, outcomes.append).unwrap()
    assert [one.status for one in outcomes] == [0, None, 0]
    assert tuple(outcomes) == report.outcomes
    assert (outcomes[1].error, outcomes[1].attempts) == (ErrorCode.TRUNCATED, 0)


def test_a_bug_in_reading_costs_nothing_that_was_sent(make_instance: MakeInstance) -> None:
    """It is raised after the outcome of the image that was under way."""
    sent = [make_instance(), told(make_instance(), failing(KeyError("mine"))), make_instance()]
    outcomes: list[StoreOutcome] = []
    with receiving(Receiver()) as peer, pytest.raises(KeyError, match="mine"):
        StorageScu().store(peer, sent, outcomes.append)
    assert [one.status for one in outcomes] == [0]


def test_what_is_prepared_when_the_association_is_lost(make_instance: MakeInstance) -> None:
    """It was not sent, so it costs no attempt; it is prepared for the next association."""
    views: list[None] = []
    sent = [make_instance(), told(make_instance(), lambda: views.append(None)), make_instance()]
    service = Receiver(abort)
    with receiving(service) as peer:
        scu = StorageScu(retry=RetryPolicy(attempts=2))
        report = scu.store(peer, sent, stop=Waits()).unwrap()
    assert [(one.status, one.attempts) for one in report.outcomes] == [(0, 2), (0, 1), (0, 1)]
    assert len(views) == 2


def test_stopping_leaves_what_was_prepared(make_instance: MakeInstance) -> None:
    """It is told as cancelled."""
    stop, read = threading.Event(), threading.Event()
    service = Receiver(after(read))
    sent = [make_instance(), told(make_instance(), read.set), make_instance()]
    with receiving(service) as peer:
        report = StorageScu().store(peer, sent, lambda _: stop.set(), stop=stop).unwrap()
    assert [one.error for one in report.outcomes] == [None, *[ErrorCode.CANCELLED] * 2]
    assert service.uids == [sent[0].sop_instance_uid]


def test_an_association_that_ends_while_the_source_is_read_on(make_instance: MakeInstance) -> None:
    """It is looked at before the next image goes out, which so costs no attempt."""
    logger = EndedConnections()

    def stream() -> Iterator[Instance]:
        for _ in range(4):
            yield make_instance()
        assert logger.ended.wait(30)
        yield make_instance()

    service = Receiver()
    config = ServerConfig(port=0, idle_timeout_s=0.3)
    with DicomServer(config, [service], logger=logger) as server:
        peer = Peer(server.host, server.port)
        report = StorageScu(look_ahead=4).store(peer, stream()).unwrap()
    assert [(one.status, one.attempts) for one in report.outcomes] == [(0, 1)] * 5
    assert service.associations == 2
