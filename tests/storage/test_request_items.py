"""Request Attributes Sequence, from the bytes of an instance into the index."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    InstanceHeader,
    TransferSyntax,
    instance_from_dataset,
)
from pacs_sdk.storage import IndexDatabase, IndexEntry, InstanceIdentity
from pacs_sdk.storage.index.request_items import request_items
from tests.storage.entries import CT, find, make_entry, open_index

SEQUENCE = 0x00400275

SYNTAXES = [
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]


def entry(
    *items: dict[str, str],
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    undefined: bool = False,
    **elements: Any,
) -> IndexEntry:
    """Encode an instance with a sequence of items, scan its header, and make an entry of it."""
    dataset = pydicom.Dataset()
    values = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": CT,
        "SOPInstanceUID": "9.8.1",
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "PatientID": "P1",
        **elements,
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    made = []
    for item in items:
        inner = pydicom.Dataset()
        for keyword, value in item.items():
            setattr(inner, keyword, value)
        inner.is_undefined_length_sequence_item = undefined
        made.append(inner)
    dataset.RequestAttributesSequence = made
    dataset["RequestAttributesSequence"].is_undefined_length = undefined
    header = instance_from_dataset(dataset, syntax).unwrap().header().unwrap()
    identity = InstanceIdentity.of_header(header)
    return IndexEntry(identity, header, syntax.uid, identity.storage_key, 1000, 300)


def told(index: IndexDatabase) -> list[tuple[str, str]]:
    """Return step and procedure of each item of the only series."""
    (match,) = find(index, "SERIES")
    return [(item[0x00400009], item[0x00401001]) for item in match.items[SEQUENCE]]


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=[syntax.keyword for syntax in SYNTAXES])
def test_items_are_read_in_each_syntax(syntax: TransferSyntax, undefined: bool) -> None:
    """With lengths and with delimiters; text in the character set of the data set."""
    read = entry(
        {"ScheduledProcedureStepID": "S1", "RequestedProcedureDescription": "Schädel"},
        {"ScheduledProcedureStepID": "S2", "AccessionNumber": "A2", "StudyInstanceUID": "1.5"},
        syntax=syntax,
        undefined=undefined,
    )
    assert request_items(read.header, syntax.uid) == [
        {
            "accession_number": "",
            "study_instance_uid": "",
            "requested_procedure_description": "Schädel",
            "scheduled_procedure_step_description": "",
            "scheduled_procedure_step_id": "S1",
            "requested_procedure_id": "",
        },
        {
            "accession_number": "A2",
            "study_instance_uid": "1.5",
            "requested_procedure_description": "",
            "scheduled_procedure_step_description": "",
            "scheduled_procedure_step_id": "S2",
            "requested_procedure_id": "",
        },
    ]


def test_equal_and_empty_items_are_kept_once_and_not_at_all() -> None:
    """What tells nothing is no item."""
    step = {"ScheduledProcedureStepID": "S1"}
    read = entry(step, {}, {"ScheduledProtocolCodeSequence": ""}, step)
    assert len(request_items(read.header, read.transfer_syntax_uid)) == 1


@pytest.mark.usefixtures("database")
def test_items_of_later_instances_are_added(tmp_path: Path) -> None:
    """A series has the items of all its instances, each once, and none of them twice."""
    index = open_index(tmp_path)
    first, second = {"ScheduledProcedureStepID": "S1"}, {"ScheduledProcedureStepID": "S2"}
    index.add(make_entry(SOPInstanceUID="9.8.0")).unwrap()
    assert told(index) == []
    for number, items in enumerate(((first,), (first, second), (second,)), start=1):
        index.add(entry(*items, SOPInstanceUID=f"9.8.{number}")).unwrap()
    assert told(index) == [("S1", ""), ("S2", "")]
    index.close()


@pytest.mark.usefixtures("database")
def test_items_go_with_their_series(tmp_path: Path) -> None:
    """When the last instance is removed nothing is left of them."""
    index = open_index(tmp_path)
    index.add(entry({"RequestedProcedureID": "R1"})).unwrap()
    index.remove("9.8.1").unwrap()
    with index.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM request_attributes").scalar() == 0
    index.close()


@pytest.mark.usefixtures("database")
def test_a_series_keeps_a_hundred_items(tmp_path: Path) -> None:
    """However many an instance has, and whatever comes later."""
    index = open_index(tmp_path)
    index.add(entry(*({"ScheduledProcedureStepID": f"S{one}"} for one in range(90)))).unwrap()
    more = ({"ScheduledProcedureStepID": f"T{one}"} for one in range(90))
    index.add(entry(*more, SOPInstanceUID="9.8.2")).unwrap()
    assert len(told(index)) == 100
    index.close()


@given(
    content=st.binary(max_size=60)
    | st.binary(max_size=40).map(b"\xfe\xff\x00\xe0\x1c\0\0\0".__add__),
    syntax=st.sampled_from(SYNTAXES),
)
def test_no_bytes_in_the_sequence_are_too_much(content: bytes, syntax: TransferSyntax) -> None:
    """A broken sequence has no items; nothing is raised, nothing is warned of."""
    header = InstanceHeader({SEQUENCE: content}, syntax.little_endian, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for item in request_items(header, syntax.uid):
            assert all(isinstance(value, str) for value in item.values())


def test_an_unknown_syntax_has_no_items() -> None:
    """Nobody can tell how the sequence is encoded."""
    read = entry({"ScheduledProcedureStepID": "S1"})
    assert request_items(read.header, "1.2.3") == []
