"""C-FIND match by match: what is found is passed on as it comes, until somebody has enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, decode_dataset
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    BackgroundServer,
    ClientTimeouts,
    DicomServer,
    Exchange,
    Peer,
    ServerConfig,
    SupportedContext,
)
from pacs_sdk.network.dimse import CFindRSP, Status
from pacs_sdk.services import QueryScp, QueryScu, QuerySource
from pacs_sdk.storage import Match, Query, QueryLevel
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.services.find_helpers import STUDY_ROOT, STUDY_UID, asked, encoded, responses, serving


@attrs.define
class _Listed(QuerySource):
    """Gives matches one by one, each when it may."""

    matches: list[Match]
    may_go_on: threading.Event = attrs.field(factory=threading.Event)
    """Whether more than the first may come; it is set unless a test clears it."""
    given: int = 0
    is_closed: threading.Event = attrs.field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.may_go_on.set()

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search."""
        return Success(self._each())

    def _each(self) -> Iterator[Match]:
        try:
            for match in self.matches:
                if self.given:
                    assert self.may_go_on.wait(30)
                self.given += 1
                yield match
        finally:
            self.is_closed.set()


def many(count: int) -> _Listed:
    """List so many studies."""
    return _Listed([Match(QueryLevel.STUDY, {STUDY_UID: f"1.{one}"}) for one in range(count)])


STUDIES = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}


def test_matches_come_while_the_search_goes_on() -> None:
    """The first match can be looked at although the second has not been found yet."""
    source = many(3)
    source.may_go_on.clear()
    with (
        serving(source) as peer,
        QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap() as found,
    ):
        assert next(found)["StudyInstanceUID"] == "1.0"
        assert source.given == 1
        source.may_go_on.set()
        assert [match["StudyInstanceUID"] for match in found] == ["1.1", "1.2"]


def test_text_that_no_answer_may_have_is_passed_on() -> None:
    """Control characters and other oddities in the index hinder nobody's study list."""
    strange = Match(
        QueryLevel.STUDY, {0x00100010: "Mü\x01ller", 0x00080060: "Ü", 0x00280010: "99999"}
    )
    with serving(_Listed([strange])) as peer:
        identifier = encoded("STUDY", PatientName="", Modality="", Rows="")
        (_, match), (final, _) = responses(peer, identifier)
    assert final.status == Status.SUCCESS
    assert match is not None
    assert match.get_strings("PatientName").unwrap() == ("Mü\x01ller",)
    assert match["Modality"] == "?"
    assert match["Rows"] is None


@pytest.mark.parametrize("server", [DicomServer, BackgroundServer])
def test_leaving_early_cancels_within_one_match(
    server: type[DicomServer | BackgroundServer],
) -> None:
    """Closing sends C-CANCEL: the server, of either driver, stops after at most one more match."""
    source = many(1000)
    source.may_go_on.clear()
    with server(ServerConfig(port=0), [QueryScp(source, "SOURCE")]) as running:
        peer = Peer("127.0.0.1", running.port, "SOURCE")
        found = QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap()
        next(found)
        found._cancel()  # as `close` does first; the search is held back until it was sent
        source.may_go_on.set()
        found.close()
        assert source.is_closed.wait(30)
        assert source.given <= 2
        assert list(found) == []
        found.close()


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_a_limit_ends_the_query(limit: int) -> None:
    """So many matches come, or as many as there are; the association ends in good order."""
    source = many(5)
    logger = RecordingLogger()
    scp = QueryScp(source, "SOURCE")
    with DicomServer(ServerConfig(port=0), [scp], logger=logger) as server:
        peer = Peer("127.0.0.1", server.port)
        found = QueryScu().find(peer, DicomDataset(None, **STUDIES), limit=limit).unwrap()
        assert len(found) == min(limit, 5)
    assert "association-released" in logger.events


def test_a_limit_of_nothing_is_a_mistake(filled: Pacs) -> None:
    """A limit is at least 1."""
    error = QueryScu().find(filled.peer, DicomDataset(None, **STUDIES), limit=0).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


class _Deaf:
    """Answers a C-FIND with matches, cancelled or not, for as long as the clock stands."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def supported_contexts(self) -> list[SupportedContext]:
        """List Study Root FIND."""
        return [SupportedContext(STUDY_ROOT.find, [EXPLICIT_VR_LITTLE_ENDIAN.uid])]

    def handle(self, exchange: Exchange) -> None:
        """Send matches until the peer is gone."""
        request = exchange.request
        pending = CFindRSP(request.message_id, Status.PENDING, STUDY_ROOT.find)
        data = MemoryBytes(encoded("STUDY", StudyInstanceUID="1.2"))
        while True:
            exchange.respond(pending, data)
            self._clock.advance(1.0)


def test_a_peer_that_does_not_stop_is_left() -> None:
    """Who goes on after a C-CANCEL is aborted after the time for an answer."""
    clock = FakeClock()
    with DicomServer(ServerConfig(port=0), [_Deaf(clock)]) as server:
        scu = QueryScu(timeouts=ClientTimeouts(dimse_s=30.0), clock=clock)
        found = scu.stream(Peer("127.0.0.1", server.port), DicomDataset(None, **STUDIES)).unwrap()
        next(found)
        found.close()
        assert list(found) == []


def test_a_refusal_is_known_before_one_iterates(filled: Pacs) -> None:
    """``stream`` is a failure where the peer refuses the query."""
    error = QueryScu().stream(filled.peer, encoded_date()).failure()
    assert error.code is ErrorCode.FIND_FAILED
    assert error.details["status"] == 0xA900


def encoded_date() -> DicomDataset:
    """Ask for a date that is none."""
    data = encoded("STUDY", StudyDate="yesterday")
    return decode_dataset(data, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def test_a_model_that_the_peer_does_not_have_is_a_typed_error(filled: Pacs) -> None:
    """The failure names the model and says why the peer refused it."""
    with DicomServer(ServerConfig(port=0), [_Deaf(FakeClock())]) as server:
        peer = Peer("127.0.0.1", server.port)
        error = QueryScu().find(peer, asked("PATIENT", PatientID="")).failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert "PATIENT_ROOT FIND" in error.message


def test_what_goes_wrong_on_the_way_is_raised_while_iterating() -> None:
    """Matches that came are not lost; then the error is raised, and the association is over."""

    class Breaking(QuerySource):
        def find(self, query: Query) -> PacsResult[Iterator[Match]]:
            """Give one match and fail."""
            return Success(self._each())

        def _each(self) -> Iterator[Match]:
            yield Match(QueryLevel.STUDY, {STUDY_UID: "1.0"})
            raise PacsException(ErrorCode.INDEX_FAILED, "the disk is gone")

    with serving(Breaking()) as peer:
        found = QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap()
        assert next(found)["StudyInstanceUID"] == "1.0"
        with pytest.raises(PacsException, match="A700H: the disk is gone"):
            next(found)
        assert list(found) == []


@attrs.frozen
class _Curtailing:
    """Gives so many matches and ends, with more to come."""

    count: int
    status: int

    def supported_contexts(self) -> list[SupportedContext]:
        """List Study Root FIND."""
        return [SupportedContext(STUDY_ROOT.find, [EXPLICIT_VR_LITTLE_ENDIAN.uid])]

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        pending = CFindRSP(exchange.request.message_id, Status.PENDING, STUDY_ROOT.find)
        for number in range(self.count):
            data = MemoryBytes(encoded("STUDY", StudyInstanceUID=f"1.{number}"))
            exchange.respond(pending, data)
        exchange.respond_status(self.status)


@pytest.mark.parametrize(
    ("status", "code"), [(0xFE00, ErrorCode.CANCELLED), (0xB001, ErrorCode.FIND_FAILED)]
)
def test_matches_that_are_not_all_are_not_taken_for_all(status: int, code: ErrorCode) -> None:
    """Who leaves matches out, as Orthanc does by FE00H, is asked for less or up to a limit."""
    question = DicomDataset(None, **STUDIES)
    with DicomServer(ServerConfig(port=0), [_Curtailing(3, status)]) as server:
        peer = Peer("127.0.0.1", server.port)
        for error in (
            QueryScu().find(peer, question).failure(),
            QueryScu().table(peer, question).failure(),
        ):
            assert error.code is code
            assert "by itself after 3 matches" in error.message
            assert error.message.endswith("ask for less, or for 3 as the limit")
        assert len(QueryScu().find(peer, question, limit=3).unwrap()) == 3
        found = QueryScu().stream(peer, question).unwrap()
        assert [next(found)["StudyInstanceUID"] for _ in range(3)] == ["1.0", "1.1", "1.2"]
        with pytest.raises(PacsException, match="after 3 matches"):
            next(found)


@attrs.frozen
class _Boundless:
    """Gives a match that is longer than any identifier."""

    def supported_contexts(self) -> list[SupportedContext]:
        """List Study Root FIND."""
        return [SupportedContext(STUDY_ROOT.find, [EXPLICIT_VR_LITTLE_ENDIAN.uid])]

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        pending = CFindRSP(exchange.request.message_id, Status.PENDING, STUDY_ROOT.find)
        exchange.respond(pending, MemoryBytes(bytes((16 << 20) + 2)))
        exchange.respond_status(Status.SUCCESS)


def test_a_match_without_bounds_is_refused() -> None:
    """A peer does not fill our memory with what it calls an identifier."""
    with DicomServer(ServerConfig(port=0), [_Boundless()]) as server:
        peer = Peer("127.0.0.1", server.port)
        error = QueryScu().find(peer, DicomDataset(None, **STUDIES)).failure()
    assert error.code is ErrorCode.FIND_FAILED
    assert "16777218 bytes" in error.message
