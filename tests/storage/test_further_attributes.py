"""Attributes that a site adds: kept in JSON at their level, matched and told like all others."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pydicom
import pytest
from sqlalchemy import select, update

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import INDEX_TAGS
from pacs_sdk.storage import (
    FurtherAttributes,
    IndexDatabase,
    MatchingOptions,
    Query,
    QueryLevel,
)
from pacs_sdk.storage.index.attribute_levels import LEVELS_OF_ATTRIBUTES
from pacs_sdk.storage.index.attributes import ATTRIBUTES, COMPUTED_ATTRIBUTES
from pacs_sdk.storage.index.tables import attribute_conflicts, instances, series
from tests.conftest import find_peer
from tests.storage.databases import Database
from tests.storage.entries import make_entry

ADDED = (
    "BodyPartThickness", "(0018,0050)", "ImageType", "AcquisitionDateTime", "AcquisitionDate",
    "AcquisitionTime", "PhysiciansOfRecord", "ResponsiblePerson", "DeviceUID", "SoftwareVersions",
    "MedicalAlerts", "EchoNumbers", "SmallestImagePixelValue", "ImageComments", "RadiationMode",
    "RecommendedDisplayFrameRateInFloat",
)  # fmt: skip
FURTHER = FurtherAttributes.of(ADDED)

_numbers = itertools.count(1000)  # matches come in the order of UIDs, which are compared as text


@pytest.fixture
def index(database: Database) -> Iterator[IndexDatabase]:
    """Open an index that keeps them."""
    with closing(IndexDatabase(database.url, further=FURTHER)) as opened:
        yield opened


def add(index: IndexDatabase, **elements: str | int | bytes) -> str:
    """Add an instance; return its UID, which comes after those before."""
    entry = make_entry(**{"SOPInstanceUID": f"8.{next(_numbers)}", **elements})
    index.add(entry).unwrap()
    return entry.identity.sop_instance_uid


def found(index: IndexDatabase, level: str = "IMAGE", **keys: Any) -> list[str]:
    """Search; return the unique keys of what was found."""
    unique = {
        "PATIENT": "PatientID",
        "STUDY": "StudyInstanceUID",
        "SERIES": "SeriesInstanceUID",
        "IMAGE": "SOPInstanceUID",
    }[level]
    query = Query.of(level, further=FURTHER, **keys).unwrap()
    matches = list(index.find(query).unwrap())
    assert index.count(query).unwrap() == len(matches)
    return [one.get(unique) for one in matches]


# -- which there may be --------------------------------------------------------------------


def test_each_belongs_to_the_entity_whose_modules_have_it() -> None:
    """Patient, study and series by PS3.3; what is told of images belongs to the instance."""
    levels = {one.keyword: one.level for one in FURTHER.attributes}
    assert levels["ResponsiblePerson"] is QueryLevel.PATIENT
    assert levels["PhysiciansOfRecord"] is QueryLevel.STUDY
    assert levels["MedicalAlerts"] is QueryLevel.STUDY
    assert levels["DeviceUID"] is QueryLevel.SERIES
    assert levels["SoftwareVersions"] is QueryLevel.SERIES
    assert levels["BodyPartThickness"] is QueryLevel.IMAGE
    assert levels["SliceThickness"] is QueryLevel.IMAGE


@pytest.mark.interop("highdicom")
def test_the_levels_agree_with_the_modules_of_the_standard() -> None:
    """Tables of PS3.3 that others made have each in modules of that entity."""
    levels = modules_of_the_standard()
    for tag, level in LEVELS_OF_ATTRIBUTES.items():
        assert level in levels[DicomTag(tag).keyword], DicomTag(tag)
        assert tag not in ATTRIBUTES
        assert tag not in COMPUTED_ATTRIBUTES


def modules_of_the_standard() -> dict[str, set[QueryLevel]]:
    """Return the levels of the modules that have each attribute."""
    package = find_peer("highdicom")
    assert package is not None
    tables = package.parent / "_standard"
    levels = {
        "Patient": QueryLevel.PATIENT,
        "Study": QueryLevel.STUDY,
        "Series": QueryLevel.SERIES,
        "Equipment": QueryLevel.SERIES,
        "Frame of Reference": QueryLevel.SERIES,
    }
    entities: dict[str, set[QueryLevel]] = {}
    for modules in json.loads((tables / "iod_module_map.json").read_text()).values():
        for one in modules:
            level = levels.get(one["ie"], QueryLevel.IMAGE)
            entities.setdefault(one["key"], set()).add(level)
    found: dict[str, set[QueryLevel]] = {}
    for module, told in json.loads((tables / "module_attribute_map.json").read_text()).items():
        for one in told:
            if not one["path"]:
                found.setdefault(one["keyword"], set()).update(entities.get(module, ()))
    return found


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("BodyPartThicknes", "neither a DICOM keyword nor a tag"),
        ("(0019,1001)", "no such attribute"),
        ("ReferencedImageSequence", "VR SQ"),
        ("PixelData", "no attribute of the header"),
        ("ICCProfile", "VR OB"),
        ("TransferSyntaxUID", "no attribute of the header"),
        ("DateOfLastCalibration", "several values"),
    ],
)
def test_what_cannot_be_matched_is_refused(wanted: str, reason: str) -> None:
    """Typing errors, private attributes, sequences and bulk data, with the reason in words."""
    with pytest.raises(PacsException) as caught:
        FurtherAttributes.of([wanted])
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
    assert wanted in caught.value.error.message
    assert reason in caught.value.error.message


def test_there_is_a_limit() -> None:
    """A hundred are the most."""
    keywords = [tag for tag in range(0x00180000, 0x0018FFFF) if is_plain(tag)]
    with pytest.raises(PacsException, match="100 are the most"):
        FurtherAttributes.of(keywords[:101])


def is_plain(tag: int) -> bool:
    """Whether a tag can be one of them."""
    try:
        return bool(FurtherAttributes.of([tag]))
    except PacsException:
        return False


def test_what_has_a_column_is_left_out() -> None:
    """To name it does no harm; a later version may have a column for more."""
    assert not FurtherAttributes.of(["PatientID", "00080020", "ModalitiesInStudy"])


def test_without_any_nothing_is_read_in_addition() -> None:
    """The header scanner looks for what it always looks for."""
    assert FurtherAttributes().header_tags is INDEX_TAGS
    assert {int(DicomTag.of(one)) for one in ADDED} < FURTHER.header_tags


# -- matching ------------------------------------------------------------------------------


def test_text_is_matched_as_text_is(index: IndexDatabase) -> None:
    """Single value, wild card, list; case counts, and one of several values is enough."""
    axial = add(index, ImageType="ORIGINAL\\PRIMARY\\AXIAL")
    scout = add(index, ImageType="ORIGINAL\\PRIMARY\\LOCALIZER", RadiationMode="CONTINUOUS")
    none = add(index)
    assert found(index, ImageType="AXIAL") == [axial]
    assert found(index, ImageType="PRIM*") == [axial, scout]
    assert found(index, ImageType="?XIAL") == [axial]
    assert found(index, ImageType="axial") == []
    assert found(index, ImageType="AXIAL\\LOCALIZER") == [axial, scout]
    assert found(index, ImageType="*") == [axial, scout, none]
    assert found(index, ImageType="XIAL") == []
    assert found(index, ImageType="ORIGINAL*AXIAL") == []
    assert found(index, RadiationMode="CON*") == [scout]
    assert found(index, RadiationMode="PULSED\\CONTINUOUS") == [scout]
    both = MatchingOptions(multiple_values=True, empty_values=True)
    assert found(index, ImageType="PRIMARY\\AXIAL", options=both) == [axial]
    assert found(index, ImageType='""', options=both) == [none]
    assert found(index, RadiationMode='""', options=both) == [axial, none]


def test_a_backslash_in_a_text_is_a_character(index: IndexDatabase) -> None:
    """ST, LT, UT and UR have one value (PS3.5 6.2)."""
    uid = add(index, ImageComments="a\\b")
    add(index, ImageComments="b")
    assert found(index, ImageComments="a\\b") == [uid]
    assert found(index, ImageComments="a\\?") == [uid]
    assert found(index, ImageComments="b\\c") == []


def test_numbers_are_matched_by_what_they_are(index: IndexDatabase) -> None:
    """However they are written, in text or binary; 0.1 in single precision is 0.1."""
    thick = add(index, SliceThickness="1.250000", EchoNumbers="1\\2", BodyPartThickness="45 ")
    thin = add(index, SliceThickness="6.25e-1", SmallestImagePixelValue=12)
    rate = add(index, RecommendedDisplayFrameRateInFloat=struct.pack("<f", 0.1))
    assert found(index, SliceThickness="1.25") == [thick]
    assert found(index, SliceThickness="0.625\\7") == [thin]
    assert found(index, BodyPartThickness="45.0") == [thick]
    assert found(index, EchoNumbers="2") == [thick]
    assert found(index, EchoNumbers="3") == []
    assert found(index, SmallestImagePixelValue="12") == [thin]
    assert found(index, RecommendedDisplayFrameRateInFloat="0.1") == [rate]


def test_signed_pixel_values_keep_their_sign(index: IndexDatabase) -> None:
    """US or SS is what Pixel Representation says, and is told so."""
    uid = add(index, SmallestImagePixelValue=b"\xf4\xff", PixelRepresentation=1)
    assert found(index, SmallestImagePixelValue="-12") == [uid]
    (match,) = index.find(Query.of("IMAGE", further=FURTHER).unwrap()).unwrap()
    element = match.dataset().pydicom["SmallestImagePixelValue"]
    assert (element.VR, element.value) == ("SS", -12)


def test_ranges_of_dates_and_times(index: IndexDatabase) -> None:
    """As of all dates and times; those of a date and time in one reach as far as is said."""
    first = add(
        index, AcquisitionDate="20240105", AcquisitionTime="1015",
        AcquisitionDateTime="20240105101500.5+0100",
    )  # fmt: skip
    second = add(
        index, AcquisitionDate="20240301", AcquisitionTime="180000.1", AcquisitionDateTime="202403"
    )
    add(index, AcquisitionDate="yesterday", AcquisitionTime="25", AcquisitionDateTime="20241301")
    assert found(index, AcquisitionDate="20240101-20240131") == [first]
    assert found(index, AcquisitionDate="20240301") == [second]
    assert found(index, AcquisitionDate="-20240301") == [first, second]
    assert found(index, AcquisitionTime="10-1015") == [first]
    assert found(index, AcquisitionTime="180000.100") == [second]
    assert found(index, AcquisitionDateTime="20240105") == [first]
    assert found(index, AcquisitionDateTime="20240105101500.500000") == [first]
    assert found(index, AcquisitionDateTime="20240105101500.4") == []
    assert found(index, AcquisitionDateTime="202401-202402") == [first]
    assert found(index, AcquisitionDateTime="20240105+0100-20240401+0100") == [first, second]
    assert found(index, AcquisitionDateTime="202402-") == [second]
    assert found(index, AcquisitionDateTime="-2023") == []


def test_date_times_are_compared_in_utc_where_both_tell_their_offset(
    index: IndexDatabase,
) -> None:
    """The offset is taken into account (PS3.4 C.2.2.2.5); without one the digits are compared."""
    west = add(index, AcquisitionDateTime="20240101230000-0500")  # 04:00 of the second
    east = add(index, AcquisitionDateTime="202401020930+0530")  # 04:00 as well
    none = add(index, AcquisitionDateTime="20240102040000")
    assert found(index, AcquisitionDateTime="20240102030000+0000-20240102050000+0000") == [
        west, east, none,
    ]  # fmt: skip
    assert found(index, AcquisitionDateTime="20240102040000+0000") == [west, east, none]
    assert found(index, AcquisitionDateTime="20240102050000+0100") == [west, east]
    assert found(index, AcquisitionDateTime="20240102040001+0000-") == []
    assert found(index, AcquisitionDateTime="-20240102035959+0000") == []
    assert found(index, AcquisitionDateTime="-20240102040000+0000") == [west, east, none]
    assert found(index, AcquisitionDateTime="20240101+0000") == []
    assert found(index, AcquisitionDateTime="20240101") == [west]
    assert found(index, AcquisitionDateTime="20240102") == [east, none]
    assert found(index, AcquisitionDateTime="2024010203-0000-20240102") == [west, east, none]
    assert found(index, AcquisitionDateTime="20240102100000+0600-20240101230000-0500") == [
        west, east,
    ]  # fmt: skip


def test_a_date_time_that_was_kept_without_utc_is_found_by_its_digits(
    index: IndexDatabase,
) -> None:
    """As before, until the index is made anew."""
    uid = add(index, AcquisitionDateTime="20240101230000-0500")
    kept = {"0008002A": "20240101230000-0500", "0008002A_normal": "20240101230000000000"}
    with index.writing() as connection:
        connection.execute(update(instances).values(further_attributes=kept))
    assert found(index, AcquisitionDateTime="2024010123") == [uid]
    assert found(index, AcquisitionDateTime="2024010123+0000") == [uid]
    assert found(index, AcquisitionDateTime="2024010204+0000") == []


def test_names_are_matched_as_names_are(index: IndexDatabase) -> None:
    """Neither case nor accents count, words and sounds do where that is asked for."""
    add(
        index, StudyInstanceUID="1.7", SeriesInstanceUID="1.7.1",
        PhysiciansOfRecord="Müller^Jörg\\House^Gregory", PatientID="P7",
        ResponsiblePerson="Doe^Mum=山田",
    )  # fmt: skip
    add(index, StudyInstanceUID="1.8", SeriesInstanceUID="1.8.1", PatientID="P8")
    assert found(index, "STUDY", PhysiciansOfRecord="muller*") == ["1.7"]
    assert found(index, "STUDY", PhysiciansOfRecord="HOUSE^GREGORY") == ["1.7"]
    assert found(index, "STUDY", PhysiciansOfRecord="wilson*") == []
    assert found(index, "STUDY", PhysiciansOfRecord="müller*gregory") == []
    assert found(index, "STUDY", PhysiciansOfRecord="m?ller^j?rg") == ["1.7"]
    assert found(index, "PATIENT", ResponsiblePerson="DOE^M*") == ["P7"]
    assert found(index, "PATIENT", ResponsiblePerson="山田") == ["P7"]
    assert found(index, "PATIENT", ResponsiblePerson="mum", fuzzy=True) == ["P7"]


def test_keys_of_other_levels(index: IndexDatabase) -> None:
    """One above restricts to what is in it, one below asks for something below."""
    uid = add(
        index, DeviceUID="1.9", MedicalAlerts="Latex\\Penicillin", BodyPartThickness="40"
    )  # fmt: skip
    add(index, StudyInstanceUID="1.8", SeriesInstanceUID="1.8.1", DeviceUID="1.10")
    assert found(index, "IMAGE", DeviceUID="1.9\\1.99") == [uid]
    assert found(index, "SERIES", MedicalAlerts="Latex") == ["1.1.1"]
    assert found(index, "STUDY", BodyPartThickness="40", DeviceUID="1.9") == ["1.1"]
    assert found(index, "PATIENT", DeviceUID="1.10") == ["P1"]
    assert found(index, "STUDY", BodyPartThickness="40", PatientID="P2") == []


def test_their_instances_are_located_and_counted(index: IndexDatabase) -> None:
    """What retrieves and deletes finds the same."""
    uid = add(index, BodyPartThickness="40")
    add(index, BodyPartThickness="41")
    query = Query.of("IMAGE", further=FURTHER, BodyPartThickness="40").unwrap()
    assert [one.sop_instance_uid for one in index.locations(query).unwrap()] == [uid]


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("BodyPartThickness", "thick"),
        ("SliceThickness", "1.25.3"),
        ("AcquisitionDateTime", "2024-13"),
        ("AcquisitionDateTime", "2025-2024"),
        ("AcquisitionDateTime", "20240101230000-0500-20240102030000+0000"),
        ("AcquisitionDate", "20240132"),
        ("EchoNumbers", "1*"),
    ],
)
def test_a_key_that_cannot_be_understood_is_refused(keyword: str, text: str) -> None:
    """As of all other keys."""
    keys: dict[str, Any] = {keyword: text}
    refused = Query.of("IMAGE", further=FURTHER, **keys)
    assert isinstance(refused, Failure)
    assert refused.failure().code is ErrorCode.FIND_INVALID_IDENTIFIER
    assert keyword in refused.failure().message


# -- what matches tell ---------------------------------------------------------------------


def test_matches_tell_them(index: IndexDatabase) -> None:
    """As they were written, and as data elements of their VR."""
    add(
        index, SliceThickness="1.250000", ImageType="ORIGINAL\\PRIMARY", ImageComments=" two\\too ",
        EchoNumbers="1\\2", PhysiciansOfRecord="Müller^Jörg", SmallestImagePixelValue=7,
        RecommendedDisplayFrameRateInFloat=struct.pack("<f", 12.5), AcquisitionDateTime="2024",
    )  # fmt: skip
    (match,) = index.find(Query.of("IMAGE", further=FURTHER).unwrap()).unwrap()
    assert match.get("SliceThickness") == "1.250000"
    assert match.get("PhysiciansOfRecord") == "Müller^Jörg"
    assert match.get("DeviceUID") == ""
    made = match.dataset().pydicom
    assert made.SliceThickness == 1.25
    assert list(made.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert list(made.EchoNumbers) == [1, 2]
    assert made["SmallestImagePixelValue"].value == 7
    assert made.RecommendedDisplayFrameRateInFloat == 12.5
    assert made.ImageComments == " two\\too"
    assert made.AcquisitionDateTime == "2024"
    assert made["DeviceUID"].is_empty


def test_a_c_find_identifier_needs_no_more_than_its_keys(index: IndexDatabase) -> None:
    """The archive that is searched knows what it keeps; told so, nothing is unsupported."""
    uid = add(index, BodyPartThickness="40")
    add(index, BodyPartThickness="41")
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.BodyPartThickness = "40.0"
    identifier.SOPInstanceUID = ""
    query = Query.from_identifier(identifier).unwrap()
    (match,) = index.find(query).unwrap()
    assert (match.get("SOPInstanceUID"), match.get("BodyPartThickness")) == (uid, "40")
    assert query.unsupported_keys != ()
    assert Query.from_identifier(identifier, further=FURTHER).unwrap().unsupported_keys == ()


def test_an_index_that_does_not_keep_them_refuses(database: Database) -> None:
    """A query that was made for another archive would match everything here."""
    query = Query.of("IMAGE", further=FURTHER, BodyPartThickness="40").unwrap()
    with closing(database.open()) as index:
        refused = index.find(query)
        assert isinstance(refused, Failure)
        assert refused.failure().code is ErrorCode.INVALID_ARGUMENT
        assert "BodyPartThickness" in refused.failure().message
    unknown = Query.of("IMAGE", BodyPartThickness="40")
    assert isinstance(unknown, Failure)


def test_explain_says_that_no_index_helps(index: IndexDatabase) -> None:
    """And tells nothing of the key."""
    add(index, PhysiciansOfRecord="House^Gregory")
    query = Query.of("STUDY", further=FURTHER, PhysiciansOfRecord="house*").unwrap()
    explanation = index.explain(query).unwrap()
    expected = "PhysiciansOfRecord: wild card matching, in the JSON of each row: no index helps"
    assert any(one.startswith(expected) for one in explanation.words)
    assert "further_attributes" in explanation.sql
    assert explanation.scans
    assert "house" not in str(explanation)


# -- what is kept --------------------------------------------------------------------------


def test_above_the_instance_what_came_first_stays(index: IndexDatabase) -> None:
    """What was lacking is filled in; another value is recorded as a conflict, not another form."""
    add(index, DeviceUID="1.9")
    add(index, SoftwareVersions="V1\\V2")
    add(index, DeviceUID="1.10", SoftwareVersions="V1\\V2")
    add(index, PhysiciansOfRecord="House^Gregory")
    add(index, PhysiciansOfRecord="HOUSE^Gregory")
    assert found(index, "SERIES", DeviceUID="1.9", SoftwareVersions="V2") == ["1.1.1"]
    assert found(index, "SERIES", DeviceUID="1.10") == []
    (match,) = index.find(Query.of("STUDY", further=FURTHER).unwrap()).unwrap()
    assert match.get("PhysiciansOfRecord") == "House^Gregory"
    with index.reading() as connection:
        rows = connection.execute(select(attribute_conflicts)).mappings().all()
    assert [(one["keyword"], one["kept"], one["found"]) for one in rows] == [
        ("DeviceUID", "1.9", "1.10")
    ]


def test_a_replaced_instance_corrects_them(index: IndexDatabase) -> None:
    """With all that they are searched by: nothing of a name that was longer is left."""
    first = add(index, PhysiciansOfRecord="House^Gregory=山田", DeviceUID="1.9")
    add(index, PhysiciansOfRecord="House^Gregory=山田", DeviceUID="1.9")
    entry = make_entry(SOPInstanceUID=first, PhysiciansOfRecord="Cox^Percival", DeviceUID="1.10")
    index.add(entry, replace=True).unwrap()
    assert found(index, "STUDY", PhysiciansOfRecord="cox*") == ["1.1"]
    assert found(index, "STUDY", PhysiciansOfRecord="山田") == []
    assert found(index, "SERIES", DeviceUID="1.10") == ["1.1.1"]


def test_rows_without_them_hold_nothing(index: IndexDatabase, database: Database) -> None:
    """Null, whether none was added or an instance has none of them."""
    add(index, ImageType="ORIGINAL")
    add(index)
    with closing(database.open()) as without:
        add(without, ImageType="ORIGINAL")
    with index.reading() as connection:
        kept = connection.execute(
            select(instances.c.further_attributes).order_by(instances.c.pk)
        ).scalars()
        assert [*kept] == [{"00080008": "ORIGINAL"}, None, None]
        assert connection.execute(select(series.c.further_attributes)).scalars().all() == [None]


def test_many_instances_of_a_series_at_once(index: IndexDatabase) -> None:
    """The short way through the driver keeps them, too."""
    entries = [make_entry(BodyPartThickness=str(number)) for number in range(40)]
    for one in entries[:2]:
        index.add(one).unwrap()
    assert all(one.unwrap().created for one in index.add_many(entries[2:]))
    assert found(index, BodyPartThickness="39") == [entries[39].identity.sop_instance_uid]


def test_text_that_no_database_takes(index: IndexDatabase) -> None:
    """NUL is dropped, what is no text is replaced; quotes and backslashes are text."""
    uid = add(index, ImageComments=b'a\0"b"\\{\xff} ' + "ü".encode())
    (match,) = index.find(Query.of("IMAGE", further=FURTHER).unwrap()).unwrap()
    assert match.get("ImageComments").startswith('a"b"\\{')
    assert found(index, ImageComments='a"b"*') == [uid]
