"""The phantom is a valid CT series, and its truth is true."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.integration.phantom import Phantom, PhantomSpec, make_phantom

TYPE_1 = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality FrameOfReferenceUID
    ImageType Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored
    HighBit PixelRepresentation RescaleIntercept RescaleSlope RescaleType PixelSpacing
    ImageOrientationPatient ImagePositionPatient PixelData
"""
TYPE_2 = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber
    ReferringPhysicianName SeriesNumber InstanceNumber SliceThickness KVP AcquisitionNumber
    Manufacturer PositionReferenceIndicator
"""
"""Attributes of CT Image Storage that must have a value, or must be there (PS3.3 A.3.3)."""

SMALL = PhantomSpec(slices=24, rows=48, columns=40, pixel_spacing=(7.5, 8.25), slice_spacing=6)


@pytest.fixture(scope="module")
def small() -> Phantom:
    """A phantom that is quick to make."""
    return make_phantom(SMALL).unwrap()


def datasets(phantom: Phantom) -> list[pydicom.Dataset]:
    """Decode the instances."""
    return [instance.dataset().unwrap().pydicom for instance in phantom.instances]


def test_stored_values_rescale_to_the_truth(small: Phantom) -> None:
    """Stored pixels × slope + intercept are the true Hounsfield units, without rounding."""
    for number, dataset in enumerate(datasets(small)):
        assert dataset.pixel_array.dtype == np.int16
        hounsfield = dataset.pixel_array * float(dataset.RescaleSlope) - 1024.0
        assert np.array_equal(hounsfield, small.truth.hounsfield()[number])


def test_the_truth_is_what_the_phantom_is_made_of(small: Phantom) -> None:
    """Air around, fat, a body of 40 HU, bone from 700 to 1200 HU, and each landmark's value."""
    truth = small.truth.hounsfield()
    assert truth.shape == (24, 48, 40)
    assert truth.dtype == np.int16
    assert (truth[:, 0] == -1000).all()
    values, counts = np.unique(truth[12], return_counts=True)
    assert values[counts.argsort()[-2:]].tolist() in ([40, -1000], [-1000, 40])
    bone = values[(values >= 700) & (values <= 1200)]
    assert len(bone) > 20
    assert bone.max() - bone.min() > 300
    assert {landmark.name for landmark in small.truth.landmarks} >= {
        "air",
        "lung",
        "water",
        "metal",
    }
    for landmark in small.truth.landmarks:
        assert truth[landmark.index[::-1]] == landmark.hounsfield


def test_landmarks_lie_where_the_slices_say(small: Phantom) -> None:
    """Their positions follow from the attributes by PS3.3 C.7.6.2.1-1, computed here anew."""
    images = datasets(small)
    for landmark in small.truth.landmarks:
        column, row, plane = landmark.index
        image = images[plane]
        cosines = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, image.PixelSpacing)
        position = np.array(image.ImagePositionPatient, float)
        position += cosines[0] * between_columns * column + cosines[1] * between_rows * row
        assert landmark.point == pytest.approx(position, abs=1e-9)


def test_no_flip_or_turn_goes_unnoticed(small: Phantom) -> None:
    """Reversing axes, exchanging rows and columns, or any two slices changes the volume."""
    truth = small.truth.hounsfield()
    for axes in itertools.chain.from_iterable(
        itertools.combinations(range(3), n) for n in (1, 2, 3)
    ):
        assert not np.array_equal(np.flip(truth, axes), truth)
    square = make_phantom(attrs.evolve(SMALL, rows=40, columns=40)).unwrap().truth.hounsfield()
    assert not np.array_equal(square.swapaxes(1, 2), square)
    assert len({plane.tobytes() for plane in truth}) == len(truth)


def test_the_series_is_a_valid_ct(small: Phantom) -> None:
    """It has the attributes it must have, unique UIDs, and decimal strings of 16 characters."""
    images = datasets(small)
    for image in images:
        assert all(getattr(image, keyword) not in (None, "") for keyword in TYPE_1.split())
        assert all(keyword in image for keyword in TYPE_2.split())
        numbers = [element for element in image if element.VR == "DS" and not element.is_empty]
        texts = [str(number) for element in numbers for number in np.atleast_1d(element.value)]
        assert all(len(text) <= 16 for text in texts)
    uids = {str(image.SOPInstanceUID) for image in images}
    assert len(uids) == 24
    assert all(map(is_valid_uid, uids))
    assert {str(image.SeriesInstanceUID) for image in images} != {images[0].StudyInstanceUID}
    assert [i.sop_instance_uid for i in small.instances] == [i.SOPInstanceUID for i in images]
    assert small.truth.sop_instance_uids == tuple(i.SOPInstanceUID for i in images)


def test_the_default_orientation_is_exact() -> None:
    """The cosines are unit vectors at a right angle although they are decimals, and oblique."""
    row, column = np.array(PhantomSpec().orientation).reshape(2, 3)
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-15)
    assert np.linalg.norm(column) == pytest.approx(1, abs=1e-15)
    assert row @ column == pytest.approx(0, abs=1e-15)
    assert np.count_nonzero([row, column]) == 6
    assert all(len(str(cosine)) <= 16 for cosine in (*row, *column))


def test_a_seed_gives_the_same_bytes_every_time() -> None:
    """Without one, UIDs are new each time."""
    seeded = attrs.evolve(SMALL, slices=2, uid_seed="the same")
    first, again = (make_phantom(seeded).unwrap() for _ in range(2))
    assert [bytes(i.encoded.view()) for i in first.instances] == [
        bytes(i.encoded.view()) for i in again.instances
    ]
    other = make_phantom(attrs.evolve(seeded, uid_seed="another")).unwrap()
    assert first.truth.sop_instance_uids != other.truth.sop_instance_uids
    unseeded = attrs.evolve(SMALL, slices=2)
    uids = [make_phantom(unseeded).unwrap().truth.sop_instance_uids for _ in range(2)]
    assert uids[0] != uids[1]


def test_instances_can_come_shuffled() -> None:
    """Order and Instance Number say nothing about the place; the truth stays in order."""
    phantom = make_phantom(attrs.evolve(SMALL, shuffle_seed=5)).unwrap()
    images = datasets(phantom)
    assert [int(image.InstanceNumber) for image in images] == list(range(1, 25))
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    assert heights != sorted(heights)
    assert tuple(i.sop_instance_uid for i in phantom.instances) != phantom.truth.sop_instance_uids
    assert {i.sop_instance_uid for i in phantom.instances} == set(phantom.truth.sop_instance_uids)


def test_other_rescalings_hold_the_same_truth() -> None:
    """Slopes of 1 and ¼ represent every whole Hounsfield unit."""
    for slope, intercept in ((1.0, -1024.0), (0.25, 10.25)):
        spec = attrs.evolve(SMALL, rescale_slope=slope, rescale_intercept=intercept)
        phantom = make_phantom(spec).unwrap()
        image = datasets(phantom)[5]
        assert np.array_equal(image.pixel_array * slope + intercept, phantom.truth.hounsfield()[5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slices": 0}, "cannot have 0 slices"),
        ({"rows": 10_000}, "10000 × 40"),
        ({"pixel_spacing": (1, 0)}, "spacings above 0"),
        ({"orientation": (1, 0, 0, 1, 0, 0)}, "not a right angle"),
        ({"rescale_slope": 0.0}, "whole Hounsfield units exactly"),
        ({"rescale_slope": 0.1}, "whole Hounsfield units exactly"),
        ({"rescale_slope": 2.0}, "whole Hounsfield units exactly"),
        ({"rescale_intercept": 0.3}, "whole Hounsfield units exactly"),
        ({"rescale_slope": 1 / 16}, "needs 64384 in 16 bits"),
    ],
)
def test_a_phantom_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    """What has no exact truth is refused in words."""
    error = make_phantom(attrs.evolve(SMALL, **changes)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert words in error.message
