from __future__ import annotations

import contextlib
import json
import os
import pty
import struct
import subprocess

import pytest

from pacs_sdk.cli.keys import (
    RETURN_KEYS,
    UNIQUE_KEYS,
    add_items,
    identifier,
    parse_keys,
    parse_nested_keys,
)
from pacs_sdk.cli.options import Level
from pacs_sdk.core import DicomTag, MemoryBytes
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    encode_dataset,
    instance_from_dataset,
    read_file,
)
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    DicomServer,
    DicomService,
    Exchange,
    Peer,
    ServerConfig,
    SupportedContext,
)
from pacs_sdk.network.dimse import CFindRSP, Status
from pacs_sdk.services import InformationModel
from pacs_sdk.storage import QueryLevel
from tests.cli.helpers import PROGRAM, SERIES, address, failed, pacs, refused, succeeded

HEADER = read_file(min(SERIES.iterdir())).unwrap().header().unwrap()
STUDY = HEADER.text("StudyInstanceUID")
SERIES_UID = HEADER.text("SeriesInstanceUID")
PATIENT = HEADER.text("PatientID")


@pytest.fixture
def peer(pacs_server: Pacs) -> Peer:
    """A server that has the CT series, and one image of a patient with an umlaut."""
    for path in SERIES.iterdir():
        pacs_server.archive.store(read_file(path).unwrap()).unwrap()
    other = read_file(min(SERIES.iterdir())).unwrap().dataset().unwrap()
    other["SpecificCharacterSet"] = "ISO_IR 192"
    other["PatientName"] = "Müller^Jörg"
    other["PatientID"] = "M1"
    other["StudyInstanceUID"] = "1.2.3"
    other["SeriesInstanceUID"] = "1.2.3.1"
    other["SOPInstanceUID"] = "1.2.3.1.1"
    pacs_server.archive.store(instance_from_dataset(other).unwrap()).unwrap()
    return pacs_server.peer


def test_levels_are_those_of_the_archive() -> None:
    """The levels of the command line are the Query/Retrieve levels, each with its keys."""
    assert [level.value for level in Level] == [level.value for level in QueryLevel]
    for level in Level:
        assert UNIQUE_KEYS[level] in RETURN_KEYS[level]
        for keyword in RETURN_KEYS[level]:
            assert DicomTag.of(keyword).keyword == keyword


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--level", "STUDY", "-k", "StudyInstanceUID", "-k", "PatientName=Doe*"],
         [f"{STUDY}\tDoe^Peter"]),
        (["--level", "study", "-k", "StudyInstanceUID=", "-k", "PatientName=doe^p*"],
         [f"{STUDY}\tDoe^Peter"]),
        (["--level", "SERIES", "-k", f"StudyInstanceUID={STUDY}", "-k", "Modality",
          "-k", "NumberOfSeriesRelatedInstances", "-k", "0020000E"],
         [f"{STUDY}\tCT\t5\t{SERIES_UID}"]),
        (["--level", "PATIENT", "-k", "PatientName=Mü*", "-k", "PatientID"], ["Müller^Jörg\tM1"]),
        (["--level", "STUDY", "-k", "StudyDate=20020101-20021231", "-k", "PatientID"], []),
        (["--level", "STUDY", "-k", "StudyInstanceUID=1.2.3", "-k", "StudyInstanceUID=9.9",
          "-k", "PatientID"], ["1.2.3\tM1"]),
    ],
    ids=["keyword", "lower case", "series", "patient, UTF-8", "range", "list"],
)  # fmt: skip
def test_matches_are_tab_separated_lines(
    peer: Peer, arguments: list[str], lines: list[str]
) -> None:
    """Without a terminal each match is a line, its values in the order of the keys."""
    result = pacs("find", *address(peer), *arguments)
    assert succeeded(result).splitlines() == lines
    assert result.stderr == ("" if lines else "pacs: no match\n")


@pytest.mark.parametrize("level", list(Level))
def test_without_return_keys_the_usual_ones_come(peer: Peer, level: Level) -> None:
    """Matching keys alone give the usual attributes of the level, and the keys."""
    keyword, value = (
        ("PatientID", PATIENT) if level is Level.PATIENT else ("StudyInstanceUID", STUDY)
    )
    text = succeeded(
        pacs("find", *address(peer), "--level", level.value, "-k", f"{keyword}={value}")
    )
    lines = text.splitlines()
    assert len(lines) == (5 if level is Level.IMAGE else 1)
    expected = len({*RETURN_KEYS[level], keyword})
    assert [line.count("\t") + 1 for line in lines] == [expected] * len(lines)


def test_all_images(peer: Peer) -> None:
    """The image level gives one line an image."""
    text = succeeded(
        pacs(
            "find", *address(peer), "--level", "IMAGE", "-k", "SOPInstanceUID",
            "-k", f"SeriesInstanceUID={SERIES_UID}", "-k", f"StudyInstanceUID={STUDY}",
        )
    )  # fmt: skip
    uids = {line.split("\t")[0] for line in text.splitlines()}
    assert uids == {read_file(path).unwrap().sop_instance_uid for path in SERIES.iterdir()}


def test_json(peer: Peer) -> None:
    """``--json`` is an array of objects: numbers as numbers, nothing as null."""
    text = succeeded(
        pacs(
            "find", *address(peer), "--json", "-k", f"StudyInstanceUID={STUDY}", "-k", "PatientName",
            "-k", "NumberOfStudyRelatedInstances", "-k", "IssuerOfPatientID",
        )
    )  # fmt: skip
    (match,) = json.loads(text)
    assert match["StudyInstanceUID"] == STUDY
    assert match["PatientName"] == "Doe^Peter"
    assert match["NumberOfStudyRelatedInstances"] == 5
    assert match["IssuerOfPatientID"] is None
    assert match["QueryRetrieveLevel"] == "STUDY"


def test_json_of_nothing_is_an_empty_array(peer: Peer) -> None:
    """No match is no failure, and still JSON."""
    result = pacs("find", *address(peer), "--json", "-k", "PatientID=nobody")
    assert json.loads(succeeded(result)) == []


def test_a_terminal_sees_a_table(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the matches are a table with headings and a count."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", lambda stream: True)
    text = succeeded(pacs("find", *address(peer), "-k", "PatientName", "-k", "PatientID=M1"))
    assert "1 match" in text
    assert "PatientName" in text
    assert "│ Müller^Jörg │ M1 " in text


class _Refusing(DicomService):
    """Answers every C-FIND with a status and a reason."""

    def supported_contexts(self) -> list[SupportedContext]:
        """List the Study Root FIND SOP class."""
        return [SupportedContext(InformationModel.STUDY_ROOT.find, ["1.2.840.10008.1.2"])]

    def handle(self, exchange: Exchange) -> None:
        """Refuse."""
        exchange.respond_status(0xA700, "come back tomorrow")


def test_a_peer_that_refuses_the_query_is_quoted() -> None:
    """What the peer says about a query it refuses is passed on."""
    with DicomServer(ServerConfig(port=0), [_Refusing()]).start().unwrap() as server:
        line = failed(pacs("find", server.host, server.port))
        refused_model = failed(pacs("find", server.host, server.port, "--level", "PATIENT"))
    assert "status A700H: come back tomorrow" in line
    assert "PATIENT_ROOT FIND" in refused_model


class _Unnumbered(_Refusing):
    """Gives one match, with decimal strings that are no numbers."""

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        model = InformationModel.STUDY_ROOT.find
        value = b"NaN\\1e999\\1.5 "
        data = MemoryBytes(struct.pack("<HHL", 0x0028, 0x1050, len(value)) + value)
        exchange.respond(CFindRSP(exchange.request.message_id, Status.PENDING, model), data)
        exchange.respond_status(Status.SUCCESS)


def test_what_is_no_number_in_json_stays_text() -> None:
    """NaN and Infinity, which Python would write, are no JSON (RFC 8259, 6)."""
    with DicomServer(ServerConfig(port=0), [_Unnumbered()]).start().unwrap() as server:
        text = succeeded(pacs("find", server.host, server.port, "--json"))
    (match,) = json.loads(text, parse_constant=pytest.fail)
    assert match["WindowCenter"] == ["NaN", "1e999", 1.5]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("NoSuchKeyword=1", "'NoSuchKeyword' is neither a DICOM keyword nor a tag"),
        ("", "is neither a DICOM keyword nor a tag"),
        ("Rows=many", "'many' does not fit Rows, whose values are US"),
        ("InstanceNumber=1*", "does not fit InstanceNumber"),
        ("PixelData=1", "PixelData cannot be a key"),
        ("RequestAttributesSequence", "RequestAttributesSequence cannot be a key"),
    ],
)
def test_impossible_keys_are_bad_usage(key: str, words: str) -> None:
    """A key that cannot be is refused before anybody is asked."""
    assert words in refused(pacs("find", "localhost", "104", "-k", key))


def test_keys_become_an_identifier() -> None:
    """Wildcards, ranges, lists, numbers and empty keys all find their place."""
    keys = parse_keys(
        ["PatientName=D?e*", "StudyDate=2024-", "ModalitiesInStudy=CT\\MR", "Modality=C*",
         "StudyInstanceUID=1.2", "StudyInstanceUID=1.3", "Rows=512", "Columns", "(0010,0020)=7",
         "SliceThickness=1.5", "AccessionNumber=a=b"]
    )  # fmt: skip
    dataset = identifier(Level.SERIES, keys)
    assert dataset["QueryRetrieveLevel"] == "SERIES"
    assert dataset.get_string("PatientName").unwrap() == "D?e*"
    assert dataset["StudyDate"] == "2024-"
    assert dataset["Modality"] == "C*"
    assert list(dataset["ModalitiesInStudy"]) == ["CT", "MR"]
    assert list(dataset["StudyInstanceUID"]) == ["1.2", "1.3"]
    assert dataset["Rows"] == 512
    assert dataset["Columns"] is None
    assert dataset["PatientID"] == "7"
    assert dataset["AccessionNumber"] == "a=b"
    assert dataset.get_float("SliceThickness").unwrap() == 1.5
    assert "SpecificCharacterSet" not in dataset


def test_a_key_beyond_ascii_names_its_character_set() -> None:
    """An identifier with other letters is UTF-8 and says so."""
    dataset = identifier(Level.STUDY, parse_keys(["PatientName=Müller*"]))
    assert dataset["SpecificCharacterSet"] == "ISO_IR 192"


def test_a_backslash_is_a_character_of_a_text_of_one_value() -> None:
    """A comment is matched with it, as Python and C-FIND do (PS3.5 6.2)."""
    dataset = identifier(Level.STUDY, parse_keys(["PatientComments=a\\b*"]))
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert b"a\\b*" in encoded


def test_keys_of_an_item_are_repeated_as_others_are() -> None:
    """Several values of a nested key are a list, and a character set that was chosen stays."""
    dataset = identifier(Level.SERIES, parse_keys(["SpecificCharacterSet=ISO_IR 100"]))
    nested = parse_nested_keys(
        ["RequestAttributesSequence.RequestedProcedureID=R1",
         "RequestAttributesSequence.RequestedProcedureID=Ü2",
         "RequestAttributesSequence.ScheduledProcedureStepID"]
    )  # fmt: skip
    add_items(dataset, nested)
    (item,) = dataset.pydicom.RequestAttributesSequence
    assert list(item.RequestedProcedureID) == ["R1", "Ü2"]
    assert item.ScheduledProcedureStepID == ""
    assert dataset["SpecificCharacterSet"] == "ISO_IR 100"


@pytest.mark.slow
def test_a_real_terminal(peer: Peer) -> None:
    """With a terminal as stdout and stderr, `pacs find` draws a table and clears its progress."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "find", *address(peer), "-k", "PatientName", "-k", "PatientID=M1"],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "COLUMNS": "100"},
    ) as process:
        os.close(follower)
        shown = bytearray()
        with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
            while part := os.read(leader, 4096):
                shown += part
        os.close(leader)
    assert process.returncode == 0, shown
    text = shown.decode()
    assert "┃" in text
    assert "Müller^Jörg" in text
    assert "Searching" in text
