"""Comparing, merging, copying and pickling data sets; private blocks."""

from __future__ import annotations

import copy
import pickle

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.dataset_diff import DifferenceKind
from pacs_sdk.core.dataset_merge import MergeConflict
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.core.vr import VR


def with_private(creator: str, value: str, *, after: str = "") -> DicomDataset:
    """Return a data set with one private element, its block after another one."""
    dataset = DicomDataset()
    for owner, held in ((after, "other"), (creator, value)):
        if owner:
            dataset.private_block(0x0009, owner, create=True).unwrap().set(1, held, "LO").unwrap()
    return dataset


def shown(left: DicomDataset, right: DicomDataset) -> list[str]:
    """Return the differences as text."""
    return [str(one) for one in left.diff(right).unwrap()]


# -- diff ----------------------------------------------------------------------------------


def test_diff_of_elements() -> None:
    """Elements are added, removed and changed, in the order of their tags."""
    left = DicomDataset(PatientID="1", StudyID="s", Rows=1)
    right = DicomDataset(PatientID="2", Rows=1, Columns=2)
    removed_or_changed, removed, added = left.diff(right.pydicom).unwrap()
    assert removed_or_changed.kind is DifferenceKind.CHANGED
    assert (removed_or_changed.left.value, removed_or_changed.right.value) == ("1", "2")
    assert (str(removed), removed.right) == ("removed StudyID", None)
    assert (str(added), added.left, added.right.value) == ("added Columns", None, 2)
    assert left.diff(left) == Success(())


def test_diff_goes_into_sequences() -> None:
    """Items are compared by position; one that only one side has is one finding."""
    left = DicomDataset(ConceptCodeSequence=[DicomDataset(CodeValue="1")])
    right = DicomDataset(
        ConceptCodeSequence=[DicomDataset(CodeValue="2"), DicomDataset(CodeValue="3")]
    )
    assert shown(left, right) == [
        "changed ConceptCodeSequence[0].CodeValue",
        "added ConceptCodeSequence[1]",
    ]
    *_, last = right.diff(left).unwrap()
    assert (last.kind, last.right) == (DifferenceKind.REMOVED, None)
    assert last.left == DicomDataset(CodeValue="3")


def test_diff_of_vrs_and_nan() -> None:
    """Another VR is a change; two NaN are none; an empty value differs from a value."""
    left, right = DicomDataset(), DicomDataset()
    for dataset, vr in ((left, VR.SH), (right, VR.LO)):
        dataset.set(0x00091001, "x", vr).unwrap()
        dataset["EventTimeOffset"] = float("nan")
        dataset["RealWorldValueSlope"] = 1.0
    left["PatientID"], right["PatientID"] = "", "1"
    assert shown(left, right) == ["changed (0009,1001)", "changed PatientID"]


def test_diff_of_private_blocks() -> None:
    """A block that lies elsewhere is no difference; its owner is part of the path."""
    one, moved = with_private("ACME", "x"), with_private("ACME", "x", after="OTHER")
    assert shown(one, moved) == ['added (0009,"OTHER",01)']
    moved.private_block(0x0009, "OTHER").unwrap().delete(1).unwrap()
    assert shown(one, moved) == []
    assert shown(one, with_private("ACME", "y")) == ['changed (0009,"ACME",01)']


def test_diff_skips_group_lengths() -> None:
    """Group lengths say how a data set was encoded, not what it says."""
    left = DicomDataset(PatientID="1")
    right = left.copy()
    right.set(0x00100000, 10, VR.UL).unwrap()
    assert shown(left, right) == []


# -- merge ---------------------------------------------------------------------------------


def test_merge_policies() -> None:
    """Both data sets' elements; on conflict one is kept, taken, or it fails."""
    base = DicomDataset(PatientID="1", StudyID="s")
    other = DicomDataset(PatientID="2", StudyID="s", Rows=7)
    for policy, expected in (("keep", "1"), ("replace", "2")):
        merged = base.merge(other.pydicom, policy).unwrap()
        assert [merged[tag] for tag in merged] == [expected, "s", 7]
    match base.merge(other, "error"):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_ARGUMENT
            assert error.details == {"path": "PatientID"}
        case _:
            pytest.fail("the conflict went unnoticed")
    assert base.merge(DicomDataset(StudyID="s", Rows=7), "error").unwrap()["Rows"] == 7
    assert base.merge(other, "guess").failure().code is ErrorCode.INVALID_ARGUMENT
    assert (base, other) == (
        DicomDataset(PatientID="1", StudyID="s"),
        DicomDataset(PatientID="2", StudyID="s", Rows=7),
    )


def test_merge_by_function() -> None:
    """A function sees the path and both elements; it picks one or gives a value."""
    base = DicomDataset(PatientID="1", StudyID="a", ImageType=["A"], Rows=1)
    other = DicomDataset(PatientID="2", StudyID="b", ImageType=["B", "C"], Rows=2)

    def decide(conflict: MergeConflict) -> object:
        match str(conflict.path):
            case "PatientID":
                return conflict.other
            case "StudyID":
                return conflict.base
            case "ImageType":
                return [*conflict.base.values, *conflict.other.values]
        return conflict.base.value + conflict.other.value

    merged = base.merge(other, decide).unwrap()
    assert merged == DicomDataset(PatientID="2", StudyID="a", ImageType=["A", "B", "C"], Rows=3)


def test_merge_takes_sequences_whole_and_copies_them() -> None:
    """Items aren't mixed, and a change to the result changes neither source."""
    base = DicomDataset(ConceptCodeSequence=[DicomDataset(CodeValue="1")])
    other = DicomDataset(
        ConceptCodeSequence=[DicomDataset(CodeValue="2")],
        ReferencedSeriesSequence=[DicomDataset(Modality="CT")],
    )
    merged = base.merge(other, "replace").unwrap()
    assert merged == other
    merged.set_path("ConceptCodeSequence[0].CodeValue", "3").unwrap()
    merged.set_path("ReferencedSeriesSequence[0].Modality", "MR").unwrap()
    assert other.get_path("ConceptCodeSequence[0].CodeValue") == Success("2")
    assert other.get_path("ReferencedSeriesSequence[0].Modality") == Success("CT")


def test_merge_moves_private_blocks() -> None:
    """A private element joins its creator's block, or gets a free one."""
    merged = with_private("ACME", "x").merge(with_private("NEW", "y", after="ACME")).unwrap()
    assert merged.get_path('(0009,"ACME",01)') == Success("x")
    assert merged.get_path('(0009,"NEW",01)') == Success("y")
    assert [str(tag) for tag in merged] == [
        "(0009,0010)",
        "(0009,0011)",
        "(0009,1001)",
        "(0009,1101)",
    ]


def test_merge_of_itself_changes_nothing() -> None:
    """Merging a data set with itself gives it again."""
    dataset = DicomDataset(pydicom.dcmread(str(get_testdata_file("CT_small.dcm"))))
    merged = dataset.merge(dataset, "error").unwrap()
    assert merged.diff(dataset) == Success(())
    assert DicomDataset().merge(dataset).unwrap().diff(dataset) == Success(())


# -- copies -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm"])
def test_copies_and_pickles(name: str) -> None:
    """Copies and pickles are equal and share no element, also of a file just opened."""
    dataset = DicomDataset(pydicom.dcmread(str(get_testdata_file(name))))
    pickled = pickle.loads(pickle.dumps(dataset))  # noqa: S301  # our own bytes
    for other in (dataset.copy(), copy.deepcopy(dataset), pickled):
        assert isinstance(other, DicomDataset)
        assert other == dataset
        other["PatientID"] = "another"
        assert other != dataset
    assert copy.copy(dataset).pydicom is dataset.pydicom


def test_pickling_several_names() -> None:
    """Names of several values, read from bytes, can be pickled once they were looked at."""
    raw = RawDataElement(Tag(0x00081050), "PN", 4, b"A\\B ", 0, False, True)
    item = Dataset({raw.tag: raw})
    dataset = DicomDataset(ConceptCodeSequence=[item], OtherPatientNames=["C", "D"])
    path = "ConceptCodeSequence[0].PerformingPhysicianName"
    assert list(dataset.get_path(path).unwrap()) == ["A", "B"]
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301  # our own bytes
    assert again == dataset
    again.get_path(path).unwrap().append("C")
    assert [str(name) for name in again.get_path(path).unwrap()] == ["A", "B", "C"]


# -- private blocks --------------------------------------------------------------------------


def test_private_block() -> None:
    """A creator's elements are set, listed, read and removed by their last byte."""
    dataset = with_private("OTHER", "x")
    assert dataset.private_block(9, "ACME").failure().code is ErrorCode.ELEMENT_NOT_FOUND
    block = dataset.private_block(0x0009, "ACME", create=True).unwrap()
    assert block.set(0x02, ["a", "b"], VR.LO) == Success(block)
    block.set(0x01, 7, "US").unwrap()
    assert block.tag(2) == Success(0x00091102)
    assert block.element(2).unwrap().value == ("a", "b")
    assert block.element(2).unwrap().private_creator == "ACME"
    assert (list(block), len(block), 2 in block, 3 in block) == ([1, 2], 2, True, False)
    assert (block.get(1), block.get(3), block.get(3, 5)) == (7, None, 5)
    assert repr(block) == "<PrivateBlock 0009 'ACME' of 2 elements>"
    assert (block.group, block.creator) == (9, "ACME")
    block.delete(1).unwrap()
    assert list(block) == [2]
    assert block.delete(1).failure().code is ErrorCode.ELEMENT_NOT_FOUND
    assert block.element(1).failure().details == {"path": '(0009,"ACME",01)'}
    again = dataset.private_block(0x0009, "ACME ", create=True).unwrap()
    assert list(again) == [2]


def test_private_block_nonsense() -> None:
    """Groups, creators and offsets that can't be are refused before anything is set."""
    dataset = DicomDataset()
    for group, creator in ((0x0008, "A"), (0x0009, ""), (0x0009, "A\\B"), (0x10009, "A")):
        found = dataset.private_block(group, creator, create=True)
        assert found.failure().code is ErrorCode.INVALID_TAG
    block = dataset.private_block(0x0009, "A", create=True).unwrap()
    assert block.set(0x100, "x", VR.LO).failure().code is ErrorCode.INVALID_TAG
    assert block.set(1, "x", "??").failure().code is ErrorCode.INVALID_VR
    assert block.set(1, object(), VR.SQ).failure().code is ErrorCode.VALUE_CONVERSION_FAILED
    del dataset[0x00090010]
    assert list(block) == []
    assert block.tag(1).failure().code is ErrorCode.ELEMENT_NOT_FOUND
    assert block.set(1, "x", VR.LO).unwrap().get(1) == "x"


def test_private_blocks_run_out() -> None:
    """A group has 240 blocks; one whose reservation is missing isn't given away."""
    plain = Dataset()
    for block in range(0x11, 0x100):
        plain.add(DataElement(0x00090000 | block, "LO", f"C{block}"))
    plain.add(DataElement(0x00091001, "LO", "nobody's"))
    found = DicomDataset(plain).private_block(0x0009, "ACME", create=True)
    assert found.failure().code is ErrorCode.LIMIT_EXCEEDED
    del plain[0x00091001]
    assert DicomDataset(plain).private_block(0x0009, "ACME", create=True).unwrap().creator == "ACME"
    del plain[0x00090010]
    plain.add(DataElement(0x00090010, "UN", b"ACME "))
    found = DicomDataset(plain).private_block(0x0009, "ACME")
    assert found.unwrap().tag(1) == Success(0x00091001)


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_a_creator_with_two_blocks() -> None:
    """The second block of a creator is named by tag, so that no path means two elements."""
    plain = Dataset()
    for block in (0x10, 0x11):
        plain.add(DataElement(0x00090000 | block, "LO", "ACME"))
        plain.add(DataElement(0x00090001 | block << 8, "LO", str(block)))
    plain.add(DataElement(0x00090012, "LO", "x" * 100))
    plain.add(DataElement(0x00091201, "LO", "damaged"))
    assert [str(one.path) for one in DicomDataset().diff(plain).unwrap()] == [
        "(0009,0011)",
        "(0009,0012)",
        '(0009,"ACME",01)',
        "(0009,1101)",
        "(0009,1201)",
    ]


def test_merge_of_another_byte_order() -> None:
    """Words keep their numbers: those of the other data set are put in the order of the result."""
    little, big = Dataset(), Dataset()
    big.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    little.add_new(0x00281201, "OW", b"\1\0\2\0")
    big.add_new(0x00281201, "OW", b"\0\1\0\2")
    big.add_new(0x00281202, "OW", b"\0\3")
    merged = DicomDataset(little).merge(big, "error").unwrap()
    assert merged.get_bytes(0x00281202) == Success(b"\3\0")
    assert DicomDataset(big).merge(little, "replace").unwrap().get_bytes(0x00281201) == Success(
        b"\0\1\0\2"
    )
