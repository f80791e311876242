"""Gamma camera images, split by energy window and detector."""

from __future__ import annotations

import numpy as np
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.modality import load_nuclear_medicine
from tests.integration.modality.made_objects import made_nm
from tests.integration.segmentation.made_seg import dataset_with

PIXELS = np.arange(8 * 2 * 3, dtype=np.uint16).reshape(8, 2, 3)
PLACE = [
    dataset_with(
        ImagePositionPatient=["-100", "-90", "50"],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
    )
]
TOMO = {"DetectorInformationSequence": PLACE, "SpacingBetweenSlices": "4.5"}


def test_windows_and_detectors_are_volumes_of_their_own() -> None:
    """Two windows and two detectors, interleaved, each with two time slices."""
    made = made_nm(
        PIXELS,
        EnergyWindowVector=[1, 2, 1, 2, 1, 2, 1, 2],
        DetectorVector=[1, 1, 2, 2, 1, 1, 2, 2],
        TimeSliceVector=[1, 1, 1, 1, 2, 2, 2, 2],
        EnergyWindowInformationSequence=[
            dataset_with(EnergyWindowName="Tc99m"),
            dataset_with(EnergyWindowName="scatter"),
        ],
    )
    volumes = load_nuclear_medicine(made).unwrap()
    assert [one.name for one in volumes] == [
        "detector 1, energy window 1 Tc99m",
        "detector 2, energy window 1 Tc99m",
        "detector 1, energy window 2 scatter",
        "detector 2, energy window 2 scatter",
    ]
    assert [one.frames for one in volumes] == [(0, 4), (2, 6), (1, 5), (3, 7)]
    for one in volumes:
        assert one.array.shape == (2, 1, 2, 3)
        assert one.axis is not None
        assert one.axis.labels == ("TimeSliceVector=1", "TimeSliceVector=2")
        assert np.array_equal(one.array[:, 0], PIXELS[list(one.frames)])
        assert not one.in_patient
        assert one.geometry.spacing[:2] == (4, 4)


@pytest.mark.parametrize(
    ("spacing", "order", "origin_z"),
    [("4.5", slice(None), 50), ("-4.5", slice(None, None, -1), 18.5)],
)
def test_a_reconstruction_in_the_patient(spacing: str, order: slice, origin_z: float) -> None:
    """The sign of Spacing Between Slices says to which side slices are stacked."""
    made = made_nm(
        PIXELS,
        SliceVector=list(range(1, 9)),
        DetectorInformationSequence=PLACE,
        SpacingBetweenSlices=spacing,
    )
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array, PIXELS[order])
    assert volume.geometry.origin == pytest.approx((-100, -90, origin_z))
    assert volume.geometry.spacing == (4, 4, 4.5)
    assert volume.in_patient
    # wherever it is in the array, the first frame is where it says
    first = volume.frames.index(0)
    assert volume.geometry.point_of((0, 0, first)) == pytest.approx((-100, -90, 50))


def test_a_gated_reconstruction() -> None:
    """Slices of each time slot make a volume; the slots are an axis."""
    made = made_nm(PIXELS, SliceVector=[1, 2, 3, 4] * 2, TimeSlotVector=[1] * 4 + [2] * 4, **TOMO)
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert volume.array.shape == (2, 4, 2, 3)
    assert np.array_equal(volume.array.reshape(8, 2, 3), PIXELS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SliceVector": [1, 2]}, "2 numbers for 8 frames"),
        ({"SliceVector": [1] * 8}, "same in every vector"),
        ({"SliceVector": [*range(1, 8), 9], **TOMO}, "gaps"),
        ({"SliceVector": list(range(1, 9))}, "SpacingBetweenSlices"),
        ({"SliceVector": list(range(1, 9)), "SpacingBetweenSlices": "4"}, "no place"),
        (
            {"SliceVector": [1, 2, 3, 4, 5, 1, 2, 3], "TimeSlotVector": [1] * 5 + [2] * 3, **TOMO},
            "not every slice",
        ),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "Nuclear Medicine"),
    ],
)
def test_what_makes_no_volume(changes: dict[str, object], words: str) -> None:
    """Vectors that contradict the frames, or slices without a place, are refused by name."""
    error = load_nuclear_medicine(made_nm(PIXELS, **changes)).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert words in error.message
