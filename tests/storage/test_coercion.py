"""Attribute coercion of what comes in, and the record of what was there (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest
from pydicom.dataset import Dataset

from pacs_sdk import DicomDataset, Instance
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    CharacterSetPolicy,
    TransferSyntax,
    instance_from_dataset,
    transcode,
)
from pacs_sdk.storage import ArchiveRules, DuplicatePolicy, open_archive
from pacs_sdk.storage.coercion import AttributeChange, Coercion, IssuerOfPatientIds
from pacs_sdk.testing import FakeClock

PIXELS = bytes(range(32))


def image(**elements: object) -> DicomDataset:
    """Make a tiny CT image."""
    dataset = DicomDataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.1",
        PatientID="P1",
        Rows=4,
        Columns=4,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        SamplesPerPixel=1,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
    )
    for keyword, value in elements.items():
        dataset[keyword] = value
    dataset.pydicom.add_new(0x7FE00010, "OW", PIXELS)
    return dataset


def encoded(dataset: DicomDataset, syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN) -> Instance:
    """Encode it as it would come from the network."""
    return raised(instance_from_dataset(dataset, syntax))


def record_of(instance: Instance) -> DicomDataset:
    """Return the newest item of the Original Attributes Sequence."""
    return raised(raised(instance.dataset()).get_items("OriginalAttributesSequence"))[-1]


def set_to(**values: object) -> AttributeChange:
    """Return a change that sets elements."""

    def change(dataset: DicomDataset) -> None:
        for keyword, value in values.items():
            raised(dataset.set(keyword, value))

    return change


@pytest.mark.parametrize(
    "syntax",
    [
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
def test_what_changes_is_recorded(syntax: TransferSyntax) -> None:
    """The new value holds; the old one, when, by whom and why stand in a sequence."""
    clock = FakeClock(datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC))
    before = encoded(image(PatientName="Doe^Jane", AccessionNumber="A1"), syntax)
    coercion = Coercion(
        (set_to(AccessionNumber="HOSP-A1"),), modifying_system="GATE", source="CT1", clock=clock
    )
    after = coercion.coerced(before)
    assert after.transfer_syntax_uid == syntax.uid
    dataset = raised(after.dataset())
    assert dataset["AccessionNumber"] == "HOSP-A1"
    assert dataset["PatientName"] == "Doe^Jane"
    assert raised(after.frames()).tolist() == raised(before.frames()).tolist()
    record = record_of(after)
    assert record["ModifyingSystem"] == "GATE"
    assert record["SourceOfPreviousValues"] == "CT1"
    assert record["ReasonForTheAttributeModification"] == "COERCE"
    assert str(record["AttributeModificationDateTime"]) == "20260304050607.000089+0000"
    (original,) = raised(record.get_items("ModifiedAttributesSequence"))
    assert [tag.keyword for tag in original] == ["AccessionNumber"]
    assert original["AccessionNumber"] == "A1"


def test_compressed_pixels_stay_as_they_are() -> None:
    """Not one byte of them is touched, nor decoded."""
    before = raised(transcode(encoded(image()), "RLELossless"))
    after = Coercion((set_to(PatientID="P2"),)).coerced(before)
    old, new = bytes(before.encoded.view()), bytes(after.encoded.view())
    begin = old.index(b"\xe0\x7f\x10\x00")
    assert new.endswith(old[begin:])


def test_an_object_without_pixels() -> None:
    """A report is changed as well."""
    dataset = image()
    del dataset["PixelData"]
    after = Coercion((set_to(PatientID="P2"),)).coerced(encoded(dataset))
    assert raised(after.dataset())["PatientID"] == "P2"


def test_where_nothing_changes_it_is_the_same_instance() -> None:
    """A value that is right already is no reason to write an instance anew."""
    before = encoded(image())
    assert Coercion((set_to(PatientID="P1"),)).coerced(before) is before
    assert Coercion().coerced(before) is before


def test_what_was_not_there_is_recorded_empty() -> None:
    """And what is removed with its value."""

    def change(dataset: DicomDataset) -> None:
        raised(dataset.set("AccessionNumber", "A9"))
        del dataset["PatientID"]

    (original,) = raised(
        record_of(Coercion((change,)).coerced(encoded(image()))).get_items(
            "ModifiedAttributesSequence"
        )
    )
    assert original["PatientID"] == "P1"
    assert not original["AccessionNumber"]


def test_every_change_adds_an_item() -> None:
    """What an earlier gateway recorded stays."""
    once = Coercion((set_to(PatientID="P2"),), modifying_system="A").coerced(encoded(image()))
    twice = Coercion((set_to(PatientID="P3"),), modifying_system="B").coerced(once)
    items = raised(raised(twice.dataset()).get_items("OriginalAttributesSequence"))
    assert [item["ModifyingSystem"] for item in items] == ["A", "B"]
    kept = [raised(item.get_items("ModifiedAttributesSequence"))[0]["PatientID"] for item in items]
    assert kept == ["P1", "P2"]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, "HOSPITAL"),
        ({"IssuerOfPatientID": ""}, "HOSPITAL"),
        ({"IssuerOfPatientID": "OTHER"}, "OTHER"),
    ],
)
def test_the_issuer_of_patient_ids(elements: dict[str, str], expected: str) -> None:
    """It is named where the sender doesn't."""
    after = Coercion((IssuerOfPatientIds("HOSPITAL"),)).coerced(encoded(image(**elements)))
    assert raised(after.dataset())["IssuerOfPatientID"] == expected


def test_no_issuer_without_a_patient_id() -> None:
    """There is nothing that anybody issued."""
    dataset = image()
    dataset["PatientID"] = ""
    before = encoded(dataset)
    assert Coercion((IssuerOfPatientIds("HOSPITAL"),)).coerced(before) is before


def test_text_that_was_declared_wrongly() -> None:
    """It is read by the policy, and kept as UTF-8; what was declared is recorded."""
    dataset = image()
    dataset.pydicom.SpecificCharacterSet = "ISO_IR 100"
    dataset.pydicom.PatientName = "Bøe^Åse"
    declared = encoded(dataset)
    wrong = bytes(declared.encoded.view()).replace(b"ISO_IR 100", b"ISO_IR 144")
    lying = attrs.evolve(declared, encoded=MemoryBytes(wrong))
    policy = CharacterSetPolicy(override="ISO_IR 100")
    after = Coercion(text=policy).coerced(lying)
    found = raised(after.dataset())
    assert found["SpecificCharacterSet"] == "ISO_IR 192"
    assert str(found["PatientName"]) == "Bøe^Åse"
    assert "Bøe^Åse".encode() in bytes(after.encoded.view())
    (original,) = raised(record_of(after).get_items("ModifiedAttributesSequence"))
    assert original["SpecificCharacterSet"] == "ISO_IR 144"


@pytest.mark.parametrize(
    "syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN], ids=lambda one: one.name
)
def test_text_that_was_not_declared(syntax: TransferSyntax) -> None:
    """It is kept as UTF-8 in every transfer syntax, so that nobody has to guess again."""
    dataset = image(SpecificCharacterSet="ISO_IR 100", PatientName="Bøe^Åse")
    latin = bytes(encoded(dataset, syntax).encoded.view())
    silent = latin.replace(b"ISO_IR 100", b" " * 10)
    received = attrs.evolve(encoded(dataset, syntax), encoded=MemoryBytes(silent))
    after = Coercion(text=CharacterSetPolicy(assume="ISO_IR 100")).coerced(received)
    assert str(raised(after.dataset())["PatientName"]) == "Bøe^Åse"
    assert "Bøe^Åse".encode() in bytes(after.encoded.view())


def test_text_that_was_declared_rightly_is_left_alone() -> None:
    """A policy for what is not declared doesn't concern what is."""
    dataset = image()
    dataset.pydicom.SpecificCharacterSet = "ISO_IR 100"
    before = encoded(dataset)
    assert Coercion(text=CharacterSetPolicy(assume="ISO_IR 192")).coerced(before) is before


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_no_coercion_makes_another_instance(keyword: str) -> None:
    """The sender was answered for the one that it sent."""
    with pytest.raises(PacsException) as caught:
        Coercion((set_to(**{keyword: "1.2.9"}),)).coerced(encoded(image()))
    assert caught.value.error.code is ErrorCode.STORE_FAILED
    assert keyword in caught.value.error.message


def test_a_change_that_breaks_is_a_failure() -> None:
    """The instance is neither kept as it came nor half changed."""

    def change(dataset: DicomDataset) -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(PacsException) as caught:
        Coercion((change,)).coerced(encoded(image()))
    assert caught.value.error.code is ErrorCode.STORE_FAILED
    assert "oops" in caught.value.error.message


@pytest.mark.parametrize("name", ["x" * 65, "a\\b"])
def test_names_that_cannot_be_recorded(name: str) -> None:
    """They are refused before anything is stored."""
    for names in ((name, ""), ("gateway", name)):
        with pytest.raises(PacsException) as caught:
            Coercion(modifying_system=names[0], source=names[1])
        assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


def test_sequences_are_compared_too() -> None:
    """A change inside an item is a change of the sequence."""
    item = Dataset()
    item.CodeValue = "1"
    before = encoded(image(ProcedureCodeSequence=[item]))

    def change(dataset: DicomDataset) -> None:
        (code,) = raised(dataset.get_items("ProcedureCodeSequence"))
        raised(code.set("CodeValue", "2"))

    (original,) = raised(
        record_of(Coercion((change,)).coerced(before)).get_items("ModifiedAttributesSequence")
    )
    (code,) = raised(original.get_items("ProcedureCodeSequence"))
    assert code["CodeValue"] == "1"


def test_the_offset_from_utc_is_written() -> None:
    """As +HHMM or -HHMM (PS3.5 6.2, DT)."""

    class Local(FakeClock):
        def now(self) -> datetime:
            return super().now().astimezone(timezone(-timedelta(hours=3, minutes=30)))

    clock = Local(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    after = Coercion((set_to(PatientID="P2"),), clock=clock).coerced(encoded(image()))
    assert str(record_of(after)["AttributeModificationDateTime"]) == "20260304013607.000000-0330"


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN],
    ids=str,
)
def test_what_is_sent_again_is_the_same_after_coercion(
    tmp_path: Path, syntax: TransferSyntax
) -> None:
    """The record of a coercion has another time then, which makes no other content of it."""
    clock = FakeClock()
    coercion = Coercion((set_to(PatientID="P2"),), clock=clock)
    instance = encoded(image(), syntax)
    with raised(open_archive(tmp_path, rules=ArchiveRules(coercion=coercion))) as archive:
        assert raised(archive.store(instance)).created
        clock.advance(3600.0)
        assert not raised(archive.store(instance)).created
        for changed in (image(PatientComments="other"), image(PatientID="P7")):
            refused = archive.store(encoded(changed, syntax))
            assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT
        pixels = image()
        pixels.pydicom.add_new(0x7FE00010, "OW", PIXELS[::-1])
        refused = archive.store(encoded(pixels, syntax))
        assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT


def test_a_duplicate_that_is_sent_again_is_kept_once(tmp_path: Path) -> None:
    """When it was coerced does not make it another one."""
    clock = FakeClock(datetime(2026, 1, 2, tzinfo=UTC))
    rules = ArchiveRules(coercion=Coercion([IssuerOfPatientIds("MARY")], clock=clock))
    opened = open_archive(tmp_path, duplicates=DuplicatePolicy.KEEP_BOTH, rules=rules)
    first, other = encoded(image()), encoded(image(PatientComments="other"))
    with raised(opened) as archive:
        raised(archive.store(first))
        for is_new in (True, False, False):
            stored = raised(archive.store(other))
            assert (stored.created, stored.kept_beside) == (is_new, True)
            clock.advance(1)
        (kept,) = raised(archive.duplicates(first.sop_instance_uid))
        assert kept.storage_key == stored.storage_key
