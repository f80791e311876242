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


@pytest.mark.parametrize("keyword", ["AngularViewVector", "RotationVector"])
def test_views_from_several_sides_have_no_one_place(keyword: str) -> None:
    """Position and orientation of a detector that turns are those of its first view."""
    changes = {key: value for key, value in TOMO.items() if key != "SpacingBetweenSlices"}
    (volume,) = load_nuclear_medicine(
        made_nm(PIXELS, **changes, **{keyword: list(range(1, 9))})
    ).unwrap()
    assert volume.axis is not None
    assert volume.axis.keywords == (keyword,)
    assert not volume.in_patient
    assert any("from several sides" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("changes", "factor", "addend", "unit"),
    [
        ({}, 1, 0, "counts"),
        ({"Units": "CNTS", "RescaleSlope": "2", "RescaleIntercept": "0"}, 2, 0, "counts"),
        ({"Units": "BQML"}, 1, 0, "BQML"),
        ({"Units": "BQML", "RescaleSlope": "0.5", "RescaleIntercept": "-3"}, 0.5, -3, "BQML"),
        ({"RescaleSlope": "0.25", "RescaleIntercept": "0"}, 0.25, 0, ""),
        ({"RescaleSlope": "0.25", "RescaleType": "US"}, 0.25, 0, ""),
        ({"RescaleSlope": "0.25", "RescaleType": "BQML"}, 0.25, 0, "BQML"),
        ({"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}, 1, 0, "counts"),
    ],
)
def test_values_have_the_unit_that_is_named(
    changes: dict[str, object], factor: float, addend: float, unit: str
) -> None:
    """Slope and intercept are applied; without Units what was rescaled is no more counts."""
    made = made_nm(PIXELS, SliceVector=list(range(8, 0, -1)), **TOMO, **changes)
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array, PIXELS[::-1] * factor + addend)
    assert volume.unit == unit
    assert volume.notes == ()


def test_a_table_of_values() -> None:
    """A Modality LUT gives the values, and its type their unit."""
    table = dataset_with(
        LUTDescriptor=[48, 0, 16], ModalityLUTType="BQML", LUTData=[3 * n for n in range(48)]
    )
    table["LUTData"].VR = table["LUTDescriptor"].VR = "US"
    made = made_nm(PIXELS, SliceVector=list(range(1, 9)), **TOMO, ModalityLUTSequence=[table])
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array, PIXELS * 3)
    assert volume.unit == "BQML"


def test_values_behind_a_palette() -> None:
    """Colours are for the screen: the values are rescaled as those of grey images."""
    palette = dataset_with(
        **{
            f"{colour}PaletteColorLookupTable{part}": value
            for colour in ("Red", "Green", "Blue")
            for part, value in (("Descriptor", [4, 0, 16]), ("Data", bytes(8)))
        }
    )
    made = made_nm(PIXELS[:1], PhotometricInterpretation="PALETTE COLOR", RescaleSlope="0.5")
    made.update(palette)
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array[0], PIXELS[0] * 0.5)


def test_a_mapping_to_real_world_values_is_noted() -> None:
    """It is not applied, and a note says so."""
    mapping = dataset_with(RealWorldValueSlope=0.5, RealWorldValueIntercept=0.0)
    made = made_nm(PIXELS[:1], SliceVector=[1], **TOMO, RealWorldValueMappingSequence=[mapping])
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array, PIXELS[:1])
    (note,) = volume.notes
    assert "(0040,9096)" in note


def test_bits_above_those_stored() -> None:
    """What the cells have above Bits Stored, such as an old overlay, is no part of a count."""
    made = made_nm(PIXELS[:1] | 0x8000, BitsStored=12, HighBit=11, SliceVector=[1], **TOMO)
    (volume,) = load_nuclear_medicine(made).unwrap()
    assert np.array_equal(volume.array, PIXELS[:1])


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
