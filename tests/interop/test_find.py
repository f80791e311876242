"""C-FIND with DCMTK, Orthanc and pynetdicom at the other end, in both roles (PS3.4 C.4.1)."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from benchmarks.launch import Launch
from benchmarks.peers import dcmqrscp, orthanc
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import Instance, character_sets, instance_from_dataset
from pacs_sdk.encoding.charsets import encode_text
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import (
    FindNegotiation,
    InformationModel,
    QueryScp,
    QueryScu,
    QuerySource,
    StorageScu,
)
from pacs_sdk.storage import Match, Query, QueryLevel

PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = InformationModel
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
DEADLINE_S = 60

NAMES = {
    "ISO_IR 100": "Müller^Jörg",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "GB18030": "Wang^XiaoDong=王^小东",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 192": "Wang^XiaoDong=王^小東",
}
"""Names as PS3.5 Annexes H to K have them, by the character set that they are stored in."""


def made(**elements: object) -> Instance:
    """Make a small CT that every archive takes."""
    values = {
        "SOPClassUID": CT, "StudyDate": "20250131", "StudyTime": "101500", "StudyID": "1",
        "AccessionNumber": "A1", "Modality": "CT", "SeriesNumber": 1, "InstanceNumber": 1,
        **elements,
    }  # fmt: skip
    return instance_from_dataset(DicomDataset(None, **values)).unwrap()


def instances() -> list[Instance]:
    """Make three studies: two of Doe with a CT and an MR series, one of Roe."""
    found = []
    for study, series, number in (
        ("1.1", "1.1.1", 1), ("1.1", "1.1.1", 2), ("1.1", "1.1.2", 1), ("1.2", "1.2.1", 1),
        ("2.1", "2.1.1", 1),
    ):  # fmt: skip
        is_mr = series == "1.1.2"
        patient = ("Doe^John", "P1") if study[0] == "1" else ("Roe^Jane", "P2")
        found.append(
            made(
                StudyInstanceUID=study, SeriesInstanceUID=series,
                SOPInstanceUID=f"{series}.{number}", InstanceNumber=number,
                PatientName=patient[0], PatientID=patient[1],
                Modality="MR" if is_mr else "CT", SOPClassUID=MR if is_mr else CT,
            )
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Run our server, with the studies and one patient for each character set."""
    with Pacs.embedded(tmp_path_factory.mktemp("archive"), ae_title="ARCHIVE") as pacs:
        for instance in instances():
            pacs.archive.store(instance).unwrap()
        for number, (terms, name) in enumerate(NAMES.items()):
            declared: Any = terms.split("\\") if "\\" in terms else terms
            instance = made(
                SpecificCharacterSet=declared, PatientName=name, PatientID=f"C{number}",
                StudyInstanceUID=f"9.{number}", SeriesInstanceUID=f"9.{number}.1",
                SOPInstanceUID=f"9.{number}.1.1", StudyDate="20200101",
            )  # fmt: skip
            pacs.archive.store(instance).unwrap()
        yield pacs.peer


# -- DCMTK's findscu asks us -----------------------------------------------------------------


def findscu(
    program: Path, peer: Peer, folder: Path, *options: str | bytes
) -> tuple[list[pydicom.Dataset], str]:
    """Run findscu; return the answers that it extracted, and what it logged."""
    command: list[str | bytes] = [
        str(program), "-v", "-X", "-od", str(folder), "-aec", peer.ae_title, *options,
        peer.host, str(peer.port),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        timeout=DEADLINE_S,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    log = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, log
    paths = sorted(folder.glob("rsp*.dcm"))
    return [pydicom.dcmread(path, force=True) for path in paths], log


LEVELS = [
    ("-P", "PATIENT", ["PatientID=P*"], "PatientID", ["P1", "P2"]),
    ("-P", "STUDY", ["PatientID=P1", "StudyInstanceUID"], "StudyInstanceUID", ["1.1", "1.2"]),
    ("-P", "SERIES", ["PatientID=P1", "StudyInstanceUID=1.1", "SeriesInstanceUID"],
     "SeriesInstanceUID", ["1.1.1", "1.1.2"]),
    ("-P", "IMAGE", ["PatientID=P1", "StudyInstanceUID=1.1", "SeriesInstanceUID=1.1.1",
     "SOPInstanceUID"], "SOPInstanceUID", ["1.1.1.1", "1.1.1.2"]),
    ("-S", "STUDY", ["StudyInstanceUID", "PatientName=doe*"], "StudyInstanceUID", ["1.1", "1.2"]),
    ("-S", "STUDY", ["StudyInstanceUID", "ModalitiesInStudy=MR"], "StudyInstanceUID", ["1.1"]),
    ("-S", "SERIES", ["StudyInstanceUID=1.1", "SeriesInstanceUID", "Modality=MR"],
     "SeriesInstanceUID", ["1.1.2"]),
    ("-S", "IMAGE", ["StudyInstanceUID=1.1", "SeriesInstanceUID=1.1.1", "SOPInstanceUID"],
     "SOPInstanceUID", ["1.1.1.1", "1.1.1.2"]),
    ("-O", "PATIENT", ["PatientID=P2"], "PatientID", ["P2"]),
    ("-O", "STUDY", ["PatientID=P2", "StudyInstanceUID"], "StudyInstanceUID", ["2.1"]),
]  # fmt: skip


@pytest.mark.interop("findscu")
@pytest.mark.parametrize(("model", "level", "keys", "keyword", "expected"), LEVELS)
def test_findscu_finds_at_every_level(  # noqa: PLR0917  # the columns of the table
    ours: Peer,
    dcmtk: dict[str, Path],
    tmp_path: Path,
    model: str,
    level: str,
    keys: list[str],
    keyword: str,
    expected: list[str],
) -> None:
    """Each model and level gives its entities, where to get them, and Success."""
    options = [part for key in (f"QueryRetrieveLevel={level}", *keys) for part in ("-k", key)]
    answers, log = findscu(dcmtk["findscu"], ours, tmp_path, model, *options)
    assert sorted(str(answer[keyword].value) for answer in answers) == expected
    assert {answer.QueryRetrieveLevel for answer in answers} == {level}
    assert {answer.RetrieveAETitle for answer in answers} == {"ARCHIVE"}
    assert "Received Final Find Response (Success)" in log


@pytest.mark.interop("findscu")
@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("-S", ["QueryRetrieveLevel=PATIENT", "PatientID"]),
        ("-O", ["QueryRetrieveLevel=SERIES", "PatientID=P1", "StudyInstanceUID=1.1"]),
        ("-S", ["PatientID"]),
        ("-S", ["QueryRetrieveLevel=STUDY", "StudyDate=yesterday"]),
    ],
)
def test_findscu_is_told_what_does_not_fit(
    ours: Peer, dcmtk: dict[str, Path], tmp_path: Path, model: str, keys: list[str]
) -> None:
    """A level or a date that does not fit is A900H."""
    options = [part for key in keys for part in ("-k", key)]
    answers, log = findscu(dcmtk["findscu"], ours, tmp_path, model, *options)
    assert answers == []
    assert "Final Find Response (Error: DataSetDoesNotMatchSOPClass)" in log


class _Endless(QuerySource):
    """Finds studies without end."""

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search for ever."""
        return Success(
            Match(QueryLevel.STUDY, {0x0020000D: f"1.{number}"}) for number in itertools.count()
        )


@pytest.mark.interop("findscu")
def test_findscu_cancels(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """A C-CANCEL ends a search that would have no end, with status FE00H."""
    with DicomServer(ServerConfig(port=0), [QueryScp(_Endless(), "ENDLESS")]) as server:
        peer = Peer("127.0.0.1", server.port, "ENDLESS")
        _, log = findscu(
            dcmtk["findscu"], peer, tmp_path, "-S", "--cancel", "2", "-Xlo", "10",
            "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID",
        )  # fmt: skip
    assert "Sending Cancel Request" in log
    assert "Cancel" in log.rpartition("Received Final Find Response")[2]


@pytest.mark.interop("findscu")
@pytest.mark.parametrize("terms", NAMES)
def test_findscu_finds_by_name_in_each_character_set(
    ours: Peer, dcmtk: dict[str, Path], tmp_path: Path, terms: str
) -> None:
    """The key is in the client's character set, and so is the answer."""
    name = NAMES[terms]
    key = encode_text(name, character_sets(terms.encode()), VR.PN)
    answers, _ = findscu(
        dcmtk["findscu"], ours, tmp_path, "-P",
        "-k", "QueryRetrieveLevel=PATIENT", "-k", f"SpecificCharacterSet={terms}",
        "-k", b"PatientName=" + key, "-k", "PatientID",
    )  # fmt: skip
    (answer,) = answers
    assert str(answer.PatientName) == name
    assert answer.PatientID == f"C{list(NAMES).index(terms)}"
    declared = answer.SpecificCharacterSet
    found = declared if isinstance(declared, str) else "\\".join(declared)
    assert found == terms


# -- we ask DCMTK's dcmqrscp and Orthanc -------------------------------------------------------

ARCHIVES = [
    pytest.param("dcmqrscp", marks=pytest.mark.interop("dcmqrscp")),
    pytest.param("orthanc", marks=pytest.mark.interop("Orthanc")),
]


@pytest.fixture(scope="module", params=ARCHIVES)
def theirs(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Run an archive of somebody else, with the studies, stored by C-STORE."""
    launch: Launch | None = dcmqrscp() if request.param == "dcmqrscp" else orthanc("Orthanc")
    assert launch is not None
    with launch.running() as server:
        peer = Peer("127.0.0.1", server.port, "DCMQRSCP")
        latin_1 = made(
            SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", PatientID="P3",
            StudyInstanceUID="3.1", SeriesInstanceUID="3.1.1", SOPInstanceUID="3.1.1.1",
        )  # fmt: skip
        report = StorageScu().store(peer, [*instances(), latin_1]).unwrap()
        assert report.failures == ()
        yield peer


QUESTIONS = [
    (PATIENT_ROOT, "PATIENT", {"PatientID": ""}, ["P1", "P2", "P3"]),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": ""}, ["1.1", "1.2"]),
    (PATIENT_ROOT, "SERIES",
     {"PatientID": "P1", "StudyInstanceUID": "1.1", "SeriesInstanceUID": ""}, ["1.1.1", "1.1.2"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": ""}, ["1.1", "1.2", "2.1", "3.1"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "", "PatientName": "Doe*"}, ["1.1", "1.2"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": ["1.2", "2.1"]}, ["1.2", "2.1"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "", "StudyDate": "20250101-20250201"},
     ["1.1", "1.2", "2.1", "3.1"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "", "StudyDate": "-20250101"}, []),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": ""},
     ["1.1.1", "1.1.2"]),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "", "Modality": "MR"},
     ["1.1.2"]),
    (STUDY_ROOT, "IMAGE",
     {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1", "SOPInstanceUID": ""},
     ["1.1.1.1", "1.1.1.2"]),
]  # fmt: skip

UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


@pytest.mark.parametrize(("model", "level", "keys", "expected"), QUESTIONS)
def test_other_archives_answer_us(
    theirs: Peer, model: InformationModel, level: str, keys: dict[str, object], expected: list[str]
) -> None:
    """Each level of both models, with wild cards, ranges and lists."""
    question = DicomDataset(None, QueryRetrieveLevel=level, **keys)
    matches = QueryScu().find(theirs, question, model).unwrap()
    assert sorted(str(match[UNIQUE[level]]) for match in matches) == expected


def test_a_query_gives_records_of_other_archives(theirs: Peer) -> None:
    """What a peer sends is read as records and as a table, whatever it leaves out."""
    query = Query.of(
        "STUDY", PatientName="Doe*", return_keys=["StudyInstanceUID", "StudyDate", "PatientID"]
    )
    records = QueryScu().table(theirs, query.unwrap()).unwrap().records()
    assert sorted(record.study_instance_uid for record in records) == ["1.1", "1.2"]  # type: ignore[union-attr]


def test_names_of_other_archives_are_readable(theirs: Peer) -> None:
    """A name in Latin-1 is found by a key in Latin-1, and read."""
    question = DicomDataset(
        SpecificCharacterSet="ISO_IR 100", QueryRetrieveLevel="PATIENT", PatientID="",
        PatientName="Müller*",
    )  # fmt: skip
    (match,) = QueryScu().find(theirs, question).unwrap()
    assert match["PatientID"] == "P3"
    assert str(match["PatientName"]) == "Müller^Jörg"


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_is_kept_with_other_archives(theirs: Peer, limit: int) -> None:
    """They may be done before the C-CANCEL reaches them; the association ends well anyway."""
    question = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert len(QueryScu().find(theirs, question, limit=limit).unwrap()) == limit
    with QueryScu().stream(theirs, question).unwrap() as matches:
        next(matches)


def test_what_other_archives_do_not_negotiate_is_an_error(theirs: Peer) -> None:
    """Neither knows fuzzy matching, and both say so by saying nothing."""
    query = Query.of("STUDY", PatientName="doe", fuzzy=True).unwrap()
    error = QueryScu().find(theirs, query).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED


# -- pynetdicom, both ways -----------------------------------------------------------------------


@pytest.mark.interop("pynetdicom")
@pytest.mark.parametrize(("fuzzy", "found"), [(True, ["9.0"]), (False, [])])
def test_pynetdicom_asks_us(ours: Peer, fuzzy: bool, found: list[str]) -> None:
    """Its identifier is decoded, its extended negotiation answered, its matches arrive."""
    pynetdicom: Any = importlib.import_module("pynetdicom")
    entity = pynetdicom.AE(ae_title="PYNETDICOM")
    entity.add_requested_context(STUDY_ROOT.find)
    item = pynetdicom.pdu_primitives.SOPClassExtendedNegotiation()
    item.sop_class_uid = STUDY_ROOT.find
    item.service_class_application_information = FindNegotiation(fuzzy=fuzzy).encode()
    association = entity.associate(ours.host, ours.port, ext_neg=[item], ae_title=ours.ae_title)
    assert association.is_established
    try:
        answered = association.acceptor.sop_class_extended
        assert answered[STUDY_ROOT.find] == FindNegotiation(fuzzy=fuzzy).encode()
        question = pydicom.Dataset()
        question.QueryRetrieveLevel = "STUDY"
        question.PatientName = "Mueler"
        question.StudyInstanceUID = ""
        replies = list(association.send_c_find(question, STUDY_ROOT.find))
    finally:
        association.release()
    assert [status.Status for status, _ in replies] == [0xFF00] * len(found) + [0x0000]
    assert [one.StudyInstanceUID for _, one in replies if one is not None] == found


@pytest.mark.interop("pynetdicom")
def test_we_ask_pynetdicom() -> None:
    """Matches come from its generator; a limit cancels it, and its failures have words."""

    def answer(event: Any) -> Iterator[tuple[int, pydicom.Dataset | None]]:
        if event.identifier.PatientID == "refused":
            yield 0xA700, None
            return
        for number in itertools.count():
            if event.is_cancelled:
                yield 0xFE00, None
                return
            found = pydicom.Dataset()
            found.QueryRetrieveLevel = "STUDY"
            found.StudyInstanceUID = f"1.{number}"
            found.StudyDate = "20250131"
            yield 0xFF00, found

    pynetdicom: Any = importlib.import_module("pynetdicom")
    entity = pynetdicom.AE(ae_title="PYNETDICOM")
    entity.add_supported_context(STUDY_ROOT.find)
    handlers = [(pynetdicom.evt.EVT_C_FIND, answer)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        peer = Peer("127.0.0.1", server.server_address[1], "PYNETDICOM")
        query = Query.of("STUDY", PatientID="P", return_keys=["StudyInstanceUID", "StudyDate"])
        with QueryScu().stream(peer, query.unwrap()).unwrap() as matches:
            first = [next(matches)["StudyInstanceUID"] for _ in range(3)]
        assert first == ["1.0", "1.1", "1.2"]
        assert len(QueryScu().find(peer, query.unwrap(), limit=5).unwrap()) == 5
        refused = Query.of("STUDY", PatientID="refused").unwrap()
        error = QueryScu().find(peer, refused).failure()
        assert (error.code, error.details["status"]) == (ErrorCode.FIND_FAILED, 0xA700)
    finally:
        server.shutdown()
