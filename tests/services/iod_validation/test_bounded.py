"""Reports, and the work for them, are bounded; errors are not crowded out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import ValidationMode, validate_dataset
from pacs_sdk.services.iod_validation import MAX_FINDINGS, Outcome, Severity, validate_instance
from pacs_sdk.services.iod_validation.deep import (
    functional_groups,
    rt_plan,
    rt_structure_set,
    segmentation,
)
from pacs_sdk.services.iod_validation.scene import Scene
from pacs_sdk.services.iod_validation.subject import Subject
from pacs_sdk.services.iod_validation.table_checks import table_findings
from pacs_sdk.services.iod_validation.validate import installed_rules
from tests.services.iod_validation.iod_objects import item, make

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values


def test_warnings_do_not_hide_errors() -> None:
    """After more warnings than a report takes, the error that follows still decides."""
    dataset = make("RTSTRUCT")
    closed = copy.deepcopy(dataset.ROIContourSequence[0].ContourSequence[0])
    closed.ContourData = [0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0]  # the first point again: a warning
    closed.NumberOfContourPoints = 4
    dataset.ROIContourSequence[0].ContourSequence = [closed] * (MAX_FINDINGS + 100)
    assert raised(validate_instance(dataset)).outcome is Outcome.CONFORMS
    dataset.StudyDate = "2025-1-2"
    report = raised(validate_instance(dataset))
    assert report.outcome is Outcome.ERRORS
    assert {str(one.path) for one in report.errors} == {"StudyDate"}
    assert len(report.findings) == MAX_FINDINGS + 1
    assert any("left out" in one.words for one in report.findings)


def test_looking_ends_with_the_report() -> None:
    """Of an object of very many broken items only so much is worked out as a report takes."""
    dataset = make("RTSTRUCT")
    dataset.StructureSetROISequence = [Dataset() for _ in range(3 * MAX_FINDINGS)]
    iod = installed_rules().of_sop_class(dataset.SOPClassUID)
    assert iod is not None
    scene = Scene(dataset, (), dataset.SOPClassUID, iod.mandatory_modules)
    assert len(table_findings(iod, scene)) == MAX_FINDINGS + 1


def test_looking_for_invalid_values_ends() -> None:
    """A caller says how many findings about values it wants at most."""
    dataset = item(RequestAttributesSequence=[item(CodeValue="\n") for _ in range(9)])
    assert len(raised(validate_dataset(dataset, ValidationMode.LENIENT))) == 9
    assert len(raised(validate_dataset(dataset, ValidationMode.LENIENT, most=4))) == 4


def test_notes_are_bounded() -> None:
    """An object of very many strange attributes has as many notes as a report takes."""
    dataset = make("CT")
    for number in range(2 * MAX_FINDINGS):
        dataset.add_new((0x4FFC << 16) | (number + 1), "LO", "x")
    report = raised(validate_instance(dataset))
    assert len(report.findings) == MAX_FINDINGS + 1
    assert report.outcome is Outcome.CONFORMS


def test_words_are_legible() -> None:
    """What a damaged object says is repeated neither at length nor with control characters."""
    dataset = make("SR")
    template = item(MappingResource="DCMR", TemplateIdentifier="\x1b[2J\n" + "9" * 70000)
    dataset.ContentTemplateSequence = [template]
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"  # a key object has template 2010
    words = [one.words for one in raised(validate_instance(dataset)).at_least(Severity.NOTE)]
    assert any(one.startswith("template ?[2J") for one in words)
    assert all(one.isprintable() and len(one) < 600 for one in words)


class Compared(int):
    """A number that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Compared.comparisons += 1
        return int(self) == other

    __hash__ = int.__hash__


COUNT = 300
GROUPS = [tag for tag, row in DicomDictionary.items() if row[4] and not tag >> 16 & 1][:COUNT]
"""Tags of attributes that have a keyword."""


def regions() -> Dataset:
    """Make a structure set of many regions."""
    dataset = make("RTSTRUCT")
    numbers = range(1, COUNT + 1)
    dataset.StructureSetROISequence = [item(ROINumber=one) for one in numbers]
    dataset.RTROIObservationsSequence = [item(ReferencedROINumber=one) for one in numbers]
    return dataset


def segments() -> Dataset:
    """Make a segmentation of many segments."""
    dataset = make("SEG")
    dataset.SegmentSequence = [item(SegmentNumber=one) for one in range(1, COUNT + 1)]
    return dataset


def beams() -> Dataset:
    """Make a plan of many beams, all of which a fraction group refers to."""
    dataset = make("RTPLAN")
    numbers = range(1, COUNT + 1)
    dataset.BeamSequence = [item(BeamNumber=one) for one in numbers]
    dataset.FractionGroupSequence[0].ReferencedBeamSequence = [
        item(ReferencedBeamNumber=one) for one in numbers
    ]
    return dataset


@pytest.mark.parametrize(
    ("module", "check", "made"),
    [
        (rt_structure_set, rt_structure_set.check_rt_structure_set, regions),
        (segmentation, segmentation.check_segmentation, segments),
        (rt_plan, rt_plan.check_rt_plan, beams),
    ],
)
def test_numbers_are_not_compared_with_all_others(
    module: Any, check: Any, made: Callable[[], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the regions, segments or beams are ten times the work, not a hundred times."""
    integer = module.integer

    def counted(dataset: Dataset, keyword: str) -> int | None:
        value = integer(dataset, keyword)
        return None if value is None else Compared(value)

    monkeypatch.setattr(module, "integer", counted)
    dataset = made()
    Compared.comparisons = 0
    list(check(Subject(dataset, dataset.SOPClassUID, "1.2.3", None)))
    assert Compared.comparisons < 10 * COUNT


def test_frames_are_not_searched_for_each_group() -> None:
    """Frames with a group of their own each are looked through a few times, not once a group."""
    looked = 0

    class Frame(Dataset):
        def __contains__(self, tag: Any) -> bool:
            nonlocal looked
            looked += 1
            return super().__contains__(tag)

    frames = [Frame() for _ in range(COUNT)]
    for number, frame in enumerate(frames):
        frame.add_new(GROUPS[number], "LO", "x")
    looked = 0
    list(functional_groups._once((), frames))
    assert looked < 10 * COUNT
