"""What the answers to a C-FIND hold: sequences, computed keys, names in any character set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.uids import new_uid
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import CharacterSetPolicy, character_sets
from pacs_sdk.encoding.charsets import encode_text
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import QueryRules, QueryScu
from tests.services.conftest import made_instance
from tests.services.find_helpers import PATIENT_ROOT, asked, encoded, responses, serving


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Hold whom the tests of character sets store."""
    with Pacs.embedded(tmp_path_factory.mktemp("named")) as pacs:
        yield pacs


def test_a_sequence_comes_back_with_its_items(named: Pacs) -> None:
    """Request Attributes Sequence is matched in one item, and returned with what was asked."""
    requests = [
        DicomDataset(None, RequestedProcedureID=f"R{number}", AccessionNumber=f"Ä{number}")
        for number in (1, 2)
    ]
    sequence = [one.pydicom for one in requests]
    instance = made_instance(RequestAttributesSequence=sequence, SpecificCharacterSet="ISO_IR 192")
    named.archive.store(instance).unwrap()
    key = DicomDataset(None, RequestedProcedureID="R2", AccessionNumber="").pydicom
    question = asked("SERIES", StudyInstanceUID="1.2.3", RequestAttributesSequence=[key])
    (match,) = QueryScu().find(named.peer, question).unwrap()
    (item,) = match["RequestAttributesSequence"]
    assert (item["RequestedProcedureID"], item["AccessionNumber"]) == ("R2", "Ä2")


COMPUTED: dict[str, dict[str, object]] = {
    "PATIENT": {
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 2,
        "NumberOfPatientRelatedInstances": 3,
    },
    "STUDY": {
        "NumberOfStudyRelatedSeries": 1,
        "NumberOfStudyRelatedInstances": 2,
        "ModalitiesInStudy": "CT",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2",
    },
    "SERIES": {"NumberOfSeriesRelatedInstances": 2},
    "IMAGE": {},
}


@pytest.mark.parametrize("level", COMPUTED)
def test_computed_keys_are_answered(filled: Pacs, level: str) -> None:
    """Counts, what a study has in it, availability and Retrieve AE Title, at each level."""
    keys: dict[str, object] = {"PatientID": "P1"}
    if level != "PATIENT":
        keys["StudyInstanceUID"] = "1.1"
    wanted: dict[str, object] = {
        **COMPUTED[level], "InstanceAvailability": "ONLINE", "RetrieveAETitle": "ARCHIVE",
        "QueryRetrieveLevel": level,
    }  # fmt: skip
    keys |= dict.fromkeys([*wanted, "SeriesInstanceUID", "SOPInstanceUID"], "")
    keys["QueryRetrieveLevel"] = level
    match = QueryScu().find(filled.peer, DicomDataset(None, **keys)).unwrap()[0]
    assert {keyword: match[keyword] for keyword in wanted} == wanted


CHARACTER_SETS = [
    ("", "Doe^John", ""),
    ("ISO_IR 192", "Doe^John", ""),
    ("", "Müller^Jörg", "ISO_IR 100"),
    ("ISO_IR 100", "Müller^Jörg", "ISO_IR 100"),
    ("ISO_IR 192", "Müller^Jörg", "ISO_IR 192"),
    ("ISO_IR 101", "Wałęsa^Lech", "ISO_IR 101"),
    ("ISO_IR 100", "Wałęsa^Lech", "ISO_IR 101"),
    ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
    ("", "Люкceмбypг", "ISO_IR 144"),
    ("ISO_IR 127", "قباني^لنزار", "ISO_IR 127"),
    ("ISO_IR 126", "Διονυσιος", "ISO_IR 126"),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "\\ISO 2022 IR 149"),
    ("GB18030", "Wang^XiaoDong=王^小东", "GB18030"),
    ("ISO_IR 100", "Wang^XiaoDong=王^小东", "ISO 2022 IR 6\\ISO 2022 IR 58"),
    ("", "Wałęsa=山田=やまだ", "ISO_IR 192"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "name", "answered"), CHARACTER_SETS)
def test_names_are_found_and_told_in_the_character_set_of_the_request(
    named: Pacs, declared: str, name: str, answered: str
) -> None:
    """Keys are read as declared; an answer has the same set if it can, or the smallest that can."""
    who = new_uid()
    named.archive.store(
        made_instance(
            StudyInstanceUID=who,
            SeriesInstanceUID=new_uid(),
            PatientID=who,
            PatientName=name,
            SpecificCharacterSet="ISO_IR 192",
        )
    ).unwrap()
    sets = character_sets(declared.encode())
    try:
        key = encode_text(name, sets, VR.PN)
    except PacsException:  # the client looks for something else, and gets to see the name
        key = b""
    identifier = encoded("PATIENT", SpecificCharacterSet=declared, PatientName=key, PatientID=who)
    (_, match), _ = responses(named.peer, identifier, PATIENT_ROOT)
    assert match is not None
    assert str(match["PatientName"]) == name
    terms = match.get_strings("SpecificCharacterSet").value_or(())
    assert "\\".join(terms) == answered


def test_what_a_client_fails_to_declare_can_be_known(filled: Pacs) -> None:
    """A policy tells how to read the keys of clients that declare nothing, or the wrong thing."""
    latin_1 = encoded("PATIENT", PatientName="Müller*".encode("latin-1"), PatientID="")
    assert len(responses(filled.peer, latin_1, PATIENT_ROOT)) == 1
    rules = QueryRules(character_sets=CharacterSetPolicy(assume="ISO_IR 100"))
    with serving(filled.archive, rules) as peer:
        (_, match), _ = responses(peer, latin_1, PATIENT_ROOT)
    assert match is not None
    assert match["PatientID"] == "P2"
