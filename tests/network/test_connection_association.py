"""An association in use: its operations, its release, and how it can break."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    DicomAssociation,
    Exchange,
    ProposedContext,
    ServerConfig,
    connect,
)
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CStoreRQ,
    Status,
)
from pacs_sdk.network.pdu import (
    AAbort,
    AbortReason,
    AbortSource,
    AReleaseRP,
    AReleaseRQ,
    PDataTF,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.sink import SpoolingSink
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    VERIFICATION,
    RawPeer,
    message_bytes,
    open_descriptors,
    pdata,
)
from tests.network.servers import (
    FAKE_CONTEXTS,
    PATIENT,
    EchoService,
    Scripted,
    accept,
    assert_alive,
    open_association,
    open_to,
    peer_that,
    serving,
    then,
)


@pytest.fixture(autouse=True)
def _no_leaked_descriptors() -> Iterator[None]:
    """Whatever happens, every connection is closed in the end."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


# -- an association that breaks ------------------------------------------------------------------


def read_request(peer: RawPeer) -> None:
    """Read a request without data set."""
    assert isinstance(peer.receive(), PDataTF)


ENDS: dict[str, tuple[Callable[[RawPeer], object], ErrorCode, str]] = {
    "close": (lambda peer: None, ErrorCode.ASSOCIATION_ABORTED, "closed the connection"),
    "reset": (RawPeer.reset, ErrorCode.ASSOCIATION_ABORTED, "connection to the peer was lost"),
    "abort": (
        lambda peer: peer.send(AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED)),
        ErrorCode.ASSOCIATION_ABORTED,
        "the peer aborted: aborted by the peer's network layer",
    ),
    "garbage": (
        lambda peer: peer.send(b"garbage"),
        ErrorCode.ASSOCIATION_ABORTED,
        "no PDU begins with byte 67H",
    ),
    "half a PDU": (
        lambda peer: peer.send(b"\x04\x00\x00\x00\x00\x40abc"),
        ErrorCode.ASSOCIATION_ABORTED,
        "closed the connection",
    ),
    "release": (
        lambda peer: peer.send(AReleaseRQ()),
        ErrorCode.ASSOCIATION_ABORTED,
        "the peer released the association early",
    ),
    "an answer to something else": (
        lambda peer: peer.send(message_bytes(1, CEchoRSP(99, Status.SUCCESS))),
        ErrorCode.INVALID_DIMSE_MESSAGE,
        "CEchoRSP where an answer to message 1 was expected",
    ),
    "an answer of another kind": (
        lambda peer: peer.send(message_bytes(1, CFindRSP(1, Status.SUCCESS))),
        ErrorCode.INVALID_DIMSE_MESSAGE,
        "CFindRSP where an answer to message 1 was expected",
    ),
    "a request": (
        lambda peer: peer.send(message_bytes(1, CEchoRQ(1))),
        ErrorCode.INVALID_DIMSE_MESSAGE,
        "CEchoRQ where an answer to message 1 was expected",
    ),
    "a command set that is none": (
        lambda peer: peer.send(pdata(b"nonsense", 1, command=True)),
        ErrorCode.ASSOCIATION_ABORTED,
        "is no command element",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_operation_that_gets_no_answer_is_a_failure_in_words(name: str) -> None:
    """However the peer ends it; afterwards the association is not open, and ends quietly."""
    act, code, words = ENDS[name]
    with peer_that(then(accept, read_request, act)) as peer:
        with open_association(peer) as association:
            context = raised(association.context_for(VERIFICATION))
            error = association.call(context, CEchoRQ(1)).failure()
            assert error.code is code
            assert words in error.message
            assert not association.is_open
            again = association.call(context, CEchoRQ(2)).failure()
            assert again.code in (ErrorCode.ASSOCIATION_ABORTED, ErrorCode.PROTOCOL_MISUSE)
        association.release()
        association.abort()


def test_a_peer_that_does_not_answer_is_a_failure_in_time() -> None:
    """The association is aborted then, because a late answer could be taken for another."""
    heard: list[object] = []
    listen = then(accept, read_request, lambda peer: heard.extend(peer.rest()))
    timeouts = attrs.evolve(PATIENT, dimse_s=0.1)
    with peer_that(listen) as peer, open_association(peer, timeouts) as association:
        context = raised(association.context_for(VERIFICATION))
        error = association.call(context, CEchoRQ(1)).failure()
        assert error.code is ErrorCode.NETWORK_TIMEOUT
        assert "sent nothing in time (0.1 s); association aborted" in error.message
    assert heard == [AAbort(AbortSource.SERVICE_USER)]


@pytest.mark.parametrize("answers", [True, False], ids=["and answers", "and falls silent"])
def test_a_peer_that_moves_elsewhere_is_waited_for(answers: bool) -> None:
    """The time begins anew with each sign of life that is known of, and ends with the last."""
    may_answer = threading.Event()
    asked: list[float | None] = []

    def moved_at() -> float | None:
        asked.append(None if len(asked) == 2 and not answers else time.monotonic())
        if answers:
            may_answer.set()
        return asked[-1]

    def answer(peer: RawPeer) -> None:
        if answers:
            assert may_answer.wait(10)
            peer.send(message_bytes(1, CEchoRSP(1, Status.SUCCESS)))
        peer.rest()

    timeouts = attrs.evolve(PATIENT, dimse_s=0.1)
    with (
        peer_that(then(accept, read_request, answer)) as peer,
        open_association(peer, timeouts) as association,
    ):
        context = raised(association.context_for(VERIFICATION))
        replies = association.replies(context, CEchoRQ(1), moved_at=moved_at)
        if answers:
            assert next(replies).response.status == Status.SUCCESS
            assert list(replies) == []
        else:
            with pytest.raises(PacsException) as failure:
                next(replies)
            assert failure.value.error.code is ErrorCode.NETWORK_TIMEOUT
            assert len(asked) == 3
        assert association.is_open is answers
        association.abort()


def test_a_peer_that_takes_no_data_is_a_failure_in_time() -> None:
    """A full line is not waited for longer than asked; nothing follows a half-sent PDU."""
    done = threading.Event()
    with peer_that(then(accept, lambda peer: done.wait(10))) as peer:
        with open_association(peer, attrs.evolve(PATIENT, dimse_s=0.1)) as association:
            context = raised(association.context_for(CT_IMAGE))
            data = MemoryBytes(bytes(64 << 20))
            error = association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), data).failure()
            assert error.code is ErrorCode.NETWORK_TIMEOUT
            assert "took no data in time" in error.message
            assert not association.is_open
        done.set()


def test_a_file_that_becomes_shorter_is_not_the_peers_fault(tmp_path: Path) -> None:
    """The system finds nothing any more where it was mapped."""
    file = tmp_path / "image"
    file.write_bytes(bytes(2 << 20))
    heard: list[bytes] = []

    def read_raw(peer: RawPeer) -> None:
        while data := peer.socket.recv(1 << 20):
            heard.append(data)

    with peer_that(then(accept, read_raw)) as peer, open_association(peer) as association:
        context = raised(association.context_for(CT_IMAGE))
        mapped = MemoryBytes(FileBytes.of(file).view())
        os.truncate(file, 0)
        error = association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), mapped).failure()
        assert error.message == (
            "the data set has become shorter while it was sent; connection closed"
        )
        assert not association.is_open


def test_nothing_follows_a_pdu_whose_sending_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An A-ABORT would be taken for its data, and wait for room like that."""
    done = threading.Event()
    came = bytearray()

    def read_late(peer: RawPeer) -> None:
        assert done.wait(10)
        while data := peer.socket.recv(1 << 20):
            came.extend(data)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Transport, "_wait_writable", interrupt)
    with peer_that(then(accept, read_late)) as peer:
        association = open_association(peer)
        context = raised(association.context_for(CT_IMAGE))
        data = MemoryBytes(bytes(64 << 20))
        with pytest.raises(KeyboardInterrupt), association:
            association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), data)
        error = association.call(context, CStoreRQ(2, CT_IMAGE, "1.2"), data).failure()
        done.set()
    assert error.message == "sending was interrupted; connection closed"
    assert not came.endswith(encode_pdu(AAbort(AbortSource.SERVICE_USER)))


def test_a_peer_that_aborts_while_we_send_is_heard() -> None:
    """Its reason is reported, not that the pipe broke."""

    def abort(peer: RawPeer) -> None:
        read_request(peer)
        peer.send(AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU))
        peer.socket.close()  # with our data unread: a reset follows

    with peer_that(then(accept, abort)) as peer, open_association(peer) as association:
        context = raised(association.context_for(CT_IMAGE))
        data = MemoryBytes(bytes(64 << 20))
        error = association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), data).failure()
        assert error.code is ErrorCode.ASSOCIATION_ABORTED
        assert "the peer aborted" in error.message


def test_an_answer_that_cannot_be_kept_is_a_failure_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response with a data set too long for memory, and no folder to spool it to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    def act(exchange: Exchange) -> None:
        exchange.respond(CFindRSP(1, Status.SUCCESS), MemoryBytes(bytes(17 << 20)))

    with (
        serving(
            Scripted(act, STUDY_ROOT_FIND),
            EchoService(),
            config=ServerConfig(spool_directory=tmp_path / "spool"),
        ) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        error = association.call(context, CFindRQ(1, STUDY_ROOT_FIND)).failure()
        assert "the data set cannot be kept" in error.message
        assert_alive(association)


# -- releasing -----------------------------------------------------------------------------------


def _confirm(peer: RawPeer) -> None:
    assert peer.receive() == AReleaseRQ()
    peer.send(AReleaseRP())
    assert peer.rest() == []


def _collide(peer: RawPeer) -> None:
    assert peer.receive() == AReleaseRQ()
    peer.send(AReleaseRQ())  # as if it had been on its way already
    assert peer.receive() == AReleaseRP()  # the requestor answers first (PS3.8 Table 9-8)
    peer.send(AReleaseRP())
    assert peer.rest() == []


def _send_late_data(peer: RawPeer) -> None:
    assert peer.receive() == AReleaseRQ()
    peer.send(message_bytes(1, CEchoRSP(1, Status.SUCCESS)), AReleaseRP())
    assert peer.rest() == []


def _never_confirm(peer: RawPeer) -> None:
    assert peer.receive() == AReleaseRQ()
    assert peer.rest() == [AAbort(AbortSource.SERVICE_USER)]


@pytest.mark.parametrize(
    "answer", [_confirm, _collide, _send_late_data, _never_confirm], ids=lambda f: f.__name__
)
def test_a_release_always_ends(answer: Callable[[RawPeer], None]) -> None:
    """Confirmed, colliding, with data under way, or never answered; the line is closed."""
    timeouts = PATIENT
    if answer is _never_confirm:
        timeouts = attrs.evolve(PATIENT, association_s=0.5)
    with peer_that(then(accept, answer)) as peer:
        association = open_association(peer, timeouts)
        association.release()
        assert not association.is_open
        association.release()


def test_a_release_ends_in_time_whatever_comes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that goes on sending is aborted; what came is not kept, as nobody takes it (AR-6)."""
    kept: set[SpoolingSink] = set()
    most_kept: list[int] = [0]
    was_cut_off: list[bool] = []

    class Sink(SpoolingSink):
        """Takes a data set until it is dropped."""

        def finish(self) -> ByteSource:
            kept.add(self)
            most_kept[0] = max(most_kept[0], len(kept))
            return super().finish()

        def discard(self) -> None:
            kept.discard(self)
            super().discard()

    def flood(peer: RawPeer) -> None:
        assert peer.receive() == AReleaseRQ()
        message = message_bytes(3, CStoreRQ(1, CT_IMAGE, "1.2"), bytes(100_000))
        deadline = time.monotonic() + 10
        try:
            while time.monotonic() < deadline and most_kept[0] < 1000:
                peer.send(message)
        except OSError:
            was_cut_off.append(True)

    monkeypatch.setattr("pacs_sdk.network.connection.inbox.SpoolingSink", Sink)
    with peer_that(then(accept, flood)) as peer:
        association = open_association(peer, attrs.evolve(PATIENT, association_s=0.1))
        association.release()
        assert not association.is_open
    assert was_cut_off == [True]
    assert most_kept[0] < 1000
    assert not kept


def test_a_peer_that_released_first_is_answered() -> None:
    """The client notices when it wants to release too."""
    released = threading.Event()

    def release(peer: RawPeer) -> None:
        read_request(peer)
        peer.send(AReleaseRQ())
        released.set()
        assert peer.receive() == AReleaseRP()
        assert peer.rest() == []

    with peer_that(then(accept, release)) as peer:
        association = open_association(peer)
        context = raised(association.context_for(VERIFICATION))
        error = association.call(context, CEchoRQ(1)).failure()
        assert "released the association early" in error.message
        association.release()


@pytest.mark.parametrize("early", [AReleaseRQ(), AAbort()], ids=["release", "abort"])
def test_what_comes_with_the_acceptance_is_seen(early: AReleaseRQ | AAbort) -> None:
    """A peer that changes its mind in the same breath is not waited for."""

    def change_mind(peer: RawPeer) -> None:
        accept(peer, early)
        assert peer.rest() == ([AReleaseRP()] if isinstance(early, AReleaseRQ) else [])

    with peer_that(change_mind) as peer:
        result = connect(peer, "TESTER", FAKE_CONTEXTS, timeouts=PATIENT)
        if isinstance(early, AAbort):
            assert "the peer aborted" in result.failure().message
        else:
            association = raised(result)
            assert not association.is_open
            association.release()


def test_leaving_with_an_exception_aborts() -> None:
    """A peer must not take half of the work for all of it."""
    heard: list[object] = []

    def fail(association: DicomAssociation) -> None:
        with association:
            raise RuntimeError("the caller's own trouble")

    listen = then(accept, lambda peer: heard.extend(peer.rest()))
    with peer_that(listen) as peer, pytest.raises(RuntimeError, match="own trouble"):
        fail(open_association(peer))
    assert heard == [AAbort(AbortSource.SERVICE_USER)]


# -- one thread at a time ------------------------------------------------------------------------


def test_two_threads_on_one_association_are_told_so() -> None:
    """The second gets an error, the first its answer."""
    waiting, go_on = threading.Event(), threading.Event()

    def hold(peer: RawPeer) -> None:
        read_request(peer)
        waiting.set()
        assert go_on.wait(10)
        peer.send(message_bytes(1, CEchoRSP(1, Status.SUCCESS)))
        _confirm(peer)

    with peer_that(then(accept, hold)) as peer, open_association(peer) as association:
        context = raised(association.context_for(VERIFICATION))
        answers: list[object] = []
        first = threading.Thread(
            target=lambda: answers.append(raised(association.call(context, CEchoRQ(1))))
        )
        first.start()
        assert waiting.wait(10)
        error = association.call(context, CEchoRQ(2)).failure()
        assert error.code is ErrorCode.PROTOCOL_MISUSE
        assert "one thread at a time" in error.message
        go_on.set()
        first.join(10)
        assert answers == [CEchoRSP(1, Status.SUCCESS)]


def test_an_operation_within_an_operation_is_refused() -> None:
    """Between two replies of one request the association is not free for another."""
    with (
        serving(Scripted(_two_matches, STUDY_ROOT_FIND), EchoService()) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        replies = association.replies(context, CFindRQ(1, STUDY_ROOT_FIND), MemoryBytes(b""))
        next(replies)
        echo = raised(association.context_for(VERIFICATION))
        assert association.call(echo, CEchoRQ(2)).failure().code is ErrorCode.PROTOCOL_MISUSE
        assert [reply.response.status for reply in replies] == [Status.PENDING, Status.SUCCESS]
        assert_alive(association)


def _two_matches(exchange: Exchange) -> None:
    for status in (Status.PENDING, Status.PENDING, Status.SUCCESS):
        exchange.respond(CFindRSP(1, status))


# -- using it ------------------------------------------------------------------------------------


def test_message_ids_are_never_zero_and_come_round() -> None:
    """1 to 65535, then 1 again."""
    with serving(EchoService()) as server, open_to(server) as association:
        assert [association.next_message_id() for _ in range(3)] == [1, 2, 3]
        for _ in range(65532):
            last = association.next_message_id()
        assert last == 65535
        assert association.next_message_id() == 1


def test_a_context_is_chosen_by_its_transfer_syntax() -> None:
    """The same SOP class may have been proposed several times."""
    contexts = [
        ProposedContext(VERIFICATION, ("1.2.840.10008.1.2.4.90",)),
        ProposedContext(VERIFICATION, (IMPLICIT,)),
    ]
    with serving(EchoService()) as server, open_to(server, contexts) as association:
        assert raised(association.context_for(VERIFICATION)).context_id == 3
        assert raised(association.context_for(VERIFICATION, IMPLICIT)).context_id == 3
        error = association.context_for(VERIFICATION, EXPLICIT, "Verification").failure()
        assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
        assert "context 1: the peer supports none of the transfer syntaxes" in error.message
        assert "context 3: the peer chose Implicit VR Little Endian" in error.message


def test_a_context_the_peer_refused_cannot_be_sent_in() -> None:
    """Using a context of another association is a misuse that costs nothing."""
    with serving(EchoService()) as server, open_to(server) as association:
        context = attrs.evolve(raised(association.context_for(VERIFICATION)), context_id=3)
        error = association.call(context, CEchoRQ(1)).failure()
        assert error.code is ErrorCode.PROTOCOL_MISUSE
        assert_alive(association)


def test_a_value_that_cannot_be_sent_costs_nothing() -> None:
    """The request is refused before a byte of it is sent."""
    with serving(EchoService(), Scripted(_two_matches)) as server, open_to(server) as association:
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1." * 40)
        error = association.call(context, request, MemoryBytes(b"x")).failure()
        assert error.code is ErrorCode.INVALID_DIMSE_MESSAGE
        assert_alive(association)
