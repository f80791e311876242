"""What a C-GET finds out beforehand of the instances that it asks for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, read_file, transcode
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, DicomService, Exchange, Peer, ServerConfig
from pacs_sdk.services import (
    InformationModel,
    InMemory,
    QueryRules,
    QueryScp,
    QuerySource,
    RetrieveScp,
    RetrieveScu,
)
from pacs_sdk.services.query import FindNegotiation
from pacs_sdk.storage import Match, Query
from tests.cli.helpers import SERIES
from tests.services.conftest import CT, made_instance

SOP_CLASS_UID, AVAILABLE_TRANSFER_SYNTAX_UID = 0x00080016, 0x00083002
UNCOMPRESSED = EXPLICIT_VR_LITTLE_ENDIAN.uid
JPEG_2000 = "1.2.840.10008.1.2.4.90"

IMAGE = read_file(min(SERIES.iterdir())).unwrap()
COMPRESSED = transcode(IMAGE, JPEG_2000).unwrap()
STUDY = IMAGE.header().unwrap().text("StudyInstanceUID")
THE_STUDY = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)

STRICT = QueryRules(always_relational=False, offered=FindNegotiation())
"""Rules of an archive to which every query has to name what is above."""


@attrs.define
class Source(QuerySource):
    """Finds what an archive finds, and tells it as a test wants it."""

    pacs: Pacs
    told: dict[int, str] = attrs.field(factory=dict)
    """What is told in place of the values."""
    most: int = 1000
    """How many matches are told."""
    queries: list[Query] = attrs.field(factory=list)

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search."""
        self.queries.append(query)
        return self.pacs.archive.find(query).map(self._each)

    def _each(self, found: Iterator[Match]) -> Iterator[Match]:
        for match, _ in zip(found, range(self.most), strict=False):
            yield attrs.evolve(match, values={**match.values, **self.told})


@contextmanager
def serving(source: Source, rules: QueryRules | None = None) -> Iterator[Peer]:
    """Run a server that answers C-FIND from it, and C-GET from its archive."""
    services: list[DicomService] = [
        QueryScp(source, "SOURCE", rules),
        RetrieveScp(source.pacs.archive),
    ]
    with DicomServer(ServerConfig(port=0), services) as server:
        yield Peer("127.0.0.1", server.port)


def came(peer: Peer, wanted: DicomDataset, model: InformationModel | None = None) -> list[str]:
    """Ask by C-GET; return the transfer syntaxes of what came."""
    box = InMemory()
    chosen = model or InformationModel.STUDY_ROOT
    report = RetrieveScu().get(peer, wanted, box.keep, model=chosen).unwrap()
    assert report.is_complete
    return [one.transfer_syntax_uid for one in box.instances]


@pytest.mark.parametrize("told", ["", "no UID", "\\..", JPEG_2000])
def test_what_is_compressed_comes_as_it_is_stored(pacs: Pacs, told: str) -> None:
    """Where a peer doesn't say how, every usual compression has a context of its own."""
    pacs.archive.store(COMPRESSED).unwrap()
    with serving(Source(pacs, {AVAILABLE_TRANSFER_SYNTAX_UID: told})) as peer:
        assert came(peer, THE_STUDY) == [JPEG_2000]


def test_what_is_uncompressed_still_comes_so(pacs: Pacs) -> None:
    """The contexts of compressions are for what is compressed."""
    pacs.archive.store(IMAGE).unwrap()
    with serving(Source(pacs, {AVAILABLE_TRANSFER_SYNTAX_UID: ""})) as peer:
        assert came(peer, THE_STUDY) == [UNCOMPRESSED]


@pytest.mark.parametrize("told", ["", "no UID", f"{CT}\\{CT}"])
def test_a_peer_that_names_no_sop_class_is_offered_the_common_ones(pacs: Pacs, told: str) -> None:
    """Whatever it answers in place of one, the retrieval goes on."""
    pacs.archive.store(COMPRESSED).unwrap()
    with serving(Source(pacs, {SOP_CLASS_UID: told})) as peer:
        assert came(peer, THE_STUDY) == [UNCOMPRESSED]


@pytest.mark.parametrize(
    ("model", "wanted", "levels"),
    [
        (InformationModel.STUDY_ROOT, THE_STUDY, ["SERIES", "IMAGE"]),
        (
            InformationModel.PATIENT_ROOT,
            DicomDataset(QueryRetrieveLevel="PATIENT", PatientID=IMAGE.header().unwrap().text("PatientID")),
            ["STUDY", "SERIES", "IMAGE"],
        ),
    ],
    ids=["study", "patient"],
)  # fmt: skip
def test_a_peer_that_insists_on_the_hierarchy_is_asked_level_by_level(
    pacs: Pacs, model: InformationModel, wanted: DicomDataset, levels: list[str]
) -> None:
    """What it refuses at once (PS3.4 C.4.1.3.1.1) it answers series by series."""
    pacs.archive.store(COMPRESSED).unwrap()
    source = Source(pacs)
    with serving(source, STRICT) as peer:
        assert came(peer, wanted, model) == [JPEG_2000]
    assert [query.level for query in source.queries] == levels


def test_an_image_alone_does_not_make_it_ask_for_everything(pacs: Pacs) -> None:
    """Of a peer that insists on the hierarchy nothing is asked that has no key above."""
    pacs.archive.store(COMPRESSED).unwrap()
    source = Source(pacs)
    wanted = DicomDataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID=COMPRESSED.sop_instance_uid)
    with serving(source, STRICT) as peer:
        assert came(peer, wanted) == [UNCOMPRESSED]
    assert source.queries == []


class Curtailing(QueryScp):
    """Answers with one match, and says that there are more."""

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        respond = exchange.respond_status
        exchange.respond_status = lambda status, comment="": respond(0xFE00)  # type: ignore[method-assign]
        super().handle(exchange)


def test_what_is_known_in_part_is_filled_up_with_the_common_classes(pacs: Pacs) -> None:
    """A peer that leaves matches out may have instances of any SOP class."""
    other = made_instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", StudyInstanceUID=STUDY)
    for one in (COMPRESSED, other):
        pacs.archive.store(one).unwrap()
    services: list[DicomService] = [
        Curtailing(Source(pacs, most=1), "SOURCE"),
        RetrieveScp(pacs.archive),
    ]
    with DicomServer(ServerConfig(port=0), services) as server:
        peer = Peer("127.0.0.1", server.port)
        assert sorted(came(peer, THE_STUDY)) in (
            [UNCOMPRESSED, JPEG_2000],
            [UNCOMPRESSED, UNCOMPRESSED],  # the match was of the other
        )


def test_the_text_of_keys_is_passed_on(pacs: Pacs) -> None:
    """A Patient ID beyond ASCII is asked for in the character set of the identifier."""
    pacs.archive.store(
        made_instance(PatientID="Ü1", SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="1.9")
    ).unwrap()
    source = Source(pacs)
    wanted = DicomDataset(
        SpecificCharacterSet="ISO_IR 100", QueryRetrieveLevel="PATIENT", PatientID="Ü1"
    )
    with serving(source) as peer:
        assert came(peer, wanted, InformationModel.PATIENT_ROOT) == [UNCOMPRESSED]
    assert [query.matching for query in source.queries] == [{0x00100020: "Ü1"}]


def test_a_peer_that_does_not_talk_is_called_twice() -> None:
    """What hinders the query hinders the retrieval: nobody is asked series by series."""
    calls: list[object] = []

    def hang_up() -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, caller = listener.accept()
                calls.append(caller)
                connected.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        peer = Peer("127.0.0.1", listener.getsockname()[1])
        error = RetrieveScu().get(peer, THE_STUDY, Success).failure()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert error.code is ErrorCode.ASSOCIATION_ABORTED
    assert len(calls) == 2
