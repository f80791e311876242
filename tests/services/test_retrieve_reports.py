"""What is made of the counts and statuses that peers give, whole, in part or wrong."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.encoding import Instance
from pacs_sdk.network import ClientTimeouts, Exchange, Peer
from pacs_sdk.services import (
    InMemory,
    ReceiveHere,
    RetrieveProgress,
    RetrieveReport,
    RetrieveScu,
    StorageScu,
)
from tests.services.conftest import made_instance
from tests.services.move_destinations import THE_STUDY
from tests.services.odd_archives import CONTEXTS, Act, odd_archive, says, sends


def full(_: Instance) -> PacsResult[object]:
    """Keep nothing."""
    return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "the disk is full"))


def got(*acts: Act, keep: Callable[[Instance], PacsResult[object]] = Success) -> RetrieveReport:
    """Ask by C-GET."""
    with odd_archive(*acts) as peer:
        return RetrieveScu().get(peer, THE_STUDY, keep, contexts=CONTEXTS).unwrap()


def moved(*acts: Act) -> RetrieveReport:
    """Ask by C-MOVE for a transfer to somebody else."""
    with odd_archive(*acts) as peer:
        return RetrieveScu().move(peer, THE_STUDY, "SHELF").unwrap()


def test_what_was_refused_here_is_a_failure_even_if_the_peer_counts_none() -> None:
    """A peer that takes no notice of our answer doesn't make the instance kept."""
    report = got(sends, sends, says(0x0000, (2, 0, 0)), keep=full)
    assert (report.received, report.failed, report.missing) == (0, 2, 0)
    assert not report.is_complete


def test_what_keeps_an_instance_and_raises_has_refused_it() -> None:
    """In a C-MOVE that comes here the server tells the peer; here it is a failure as well."""

    def keep(_: Instance) -> PacsResult[object]:
        raise RuntimeError("a bug of the user's")

    report = moved_here(keep, says(0x0000, (1, 0, 0)))
    assert (report.received, report.failed) == (0, 1)


def moved_here(
    keep: Callable[[Instance], PacsResult[object]], *acts: Act, count: int = 1
) -> RetrieveReport:
    """Ask by C-MOVE for a transfer to ourselves; some instances come, and then the answers."""
    ports: list[int] = []

    def store(_: Exchange) -> None:
        me = Peer("127.0.0.1", ports[0], "ME")
        StorageScu().store(me, [made_instance() for _ in range(count)]).unwrap()

    with odd_archive(store, *acts) as peer:
        here = ReceiveHere(keep, on_ready=ports.append)
        return RetrieveScu().move(peer, THE_STUDY, "ME", receive=here).unwrap()


def test_what_went_elsewhere_is_missing_here() -> None:
    """A peer that knows somebody else by our AE title has sent what never came."""
    report = moved_here(Success, says(0x0000, (3, 0, 0)), count=1)
    assert (report.received, report.completed, report.missing) == (1, 3, 2)
    assert not report.is_complete
    assert moved(says(0x0000, (3, 0, 0))).is_complete  # nobody waits for it here


def test_a_list_of_failures_counts_where_the_counts_are_left_out() -> None:
    """The counts of a final response are optional, the list need not be."""
    report = got(sends, says(0xB000, failed_uids=["1.2.8", "1.2.9"]))
    assert (report.received, report.failed) == (1, 2)
    assert report.failed_sop_instance_uids == ("1.2.8", "1.2.9")
    assert not report.is_counted
    assert not report.is_complete


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0x0000, (5, 1, 0)), (0xB000, (2, 1, 0)), (0xFE00, (2, 1, 3))],
    ids=["success", "warning", "cancelled"],
)
def test_the_last_counts_hold_where_the_final_response_has_none(
    status: int, expected: tuple[int, int, int]
) -> None:
    """Success says that what was still to be done has succeeded; nothing else does."""
    report = moved(says(0xFF00, (0, 0, 0), 6), says(0xFF00, (2, 1, 0), 3), says(status))
    assert (report.completed, report.failed, report.remaining) == expected
    assert report.is_counted


def test_a_peer_that_counts_nothing_says_so_little() -> None:
    """Success without any counts is complete, as far as is known; B000H is not."""
    assert not moved(says(0x0000)).is_counted
    assert moved(says(0x0000)).is_complete
    assert not moved(says(0xB000)).is_complete


def test_warnings_are_no_failures() -> None:
    """An instance that was stored with a warning is there (PS3.4 B.2.3)."""
    assert moved(says(0xB000, (1, 0, 1))).is_complete
    assert not moved(says(0xB000, (1, 1, 1))).is_complete
    assert not moved(says(0xC000, (1, 0, 0))).is_complete


def test_every_pending_status_is_progress() -> None:
    """FF01H, which C-GET and C-MOVE don't have, is no end."""
    told: list[RetrieveProgress] = []
    with odd_archive(says(0xFF01, (1, 0, 0), 1), says(0x0000, (2, 0, 0))) as peer:
        report = RetrieveScu().move(peer, THE_STUDY, "SHELF", on_progress=told.append).unwrap()
    assert told == [RetrieveProgress(1, 1, 0, 0)]
    assert report.completed == 2


@pytest.mark.slow  # an instance may take a second on a busy machine
def test_instances_that_come_are_a_sign_of_life() -> None:
    """A C-MOVE without Pending responses lasts as long as instances come (PS3.4 C.4.2.3.1)."""
    timeouts = ClientTimeouts(dimse_s=2.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sent: list[str] = []

    def go_on_sending(_: Exchange) -> None:
        end = time.monotonic() + 2 * timeouts.dimse_s
        while time.monotonic() < end:
            instance = made_instance()
            assert StorageScu().store(Peer("127.0.0.1", port, "ME"), instance).unwrap().stored
            sent.append(instance.sop_instance_uid)

    def answer(exchange: Exchange) -> None:
        says(0x0000, (len(sent), 0, 0))(exchange)

    box = InMemory()
    with odd_archive(go_on_sending, answer) as peer:
        here = ReceiveHere(box.keep, port)
        scu = RetrieveScu(timeouts=timeouts)
        report = scu.move(peer, THE_STUDY, "ME", receive=here).unwrap()
    assert report.is_complete
    assert [one.sop_instance_uid for one in box.instances] == sent
