"""Objects with any one attribute missing or wrong: a result or an error in words, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Result

from pacs_sdk.core import PacsError
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.integration.modality import dataset_to_volumes
from pacs_sdk.integration.pet import suv_scale
from pacs_sdk.integration.segmentation import load_segmentation, load_structure_set
from tests.integration.modality.made_objects import made_cine, made_dose, made_enhanced, made_nm
from tests.integration.modality.test_modality_series import pet_slices
from tests.integration.segmentation.made_seg import GRID, made_seg
from tests.integration.segmentation.test_structure_set import SQUARE, structure_set

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

PIXELS = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
MASK = np.ones((3, 4))


def masks_of(dataset: pydicom.Dataset) -> Result[Any, PacsError]:
    """Load a segmentation, with and without a reference, and make its masks."""
    own = load_segmentation(dataset, max_volume_bytes=1 << 20)
    result = own.bind(lambda found: found.label_map())
    load_segmentation(dataset, GRID).bind(lambda found: found.mask(1))
    return result


def regions_of(dataset: pydicom.Dataset) -> Result[Any, PacsError]:
    """Load a structure set and make its mask."""
    return load_structure_set(dataset).bind(lambda found: found.mask(7, GRID))


LOADERS: dict[str, tuple[Callable[[], pydicom.Dataset], Callable[..., Any]]] = {
    "dose": (lambda: made_dose(PIXELS), dataset_to_volumes),
    "nuclear": (
        lambda: made_nm(
            PIXELS, SliceVector=[1, 2, 1, 2], DetectorVector=[1, 1, 2, 2], SpacingBetweenSlices="4"
        ),
        dataset_to_volumes,
    ),
    "cine": (lambda: made_cine(PIXELS, FrameTime="40"), dataset_to_volumes),
    "enhanced": (
        lambda: made_enhanced(PIXELS, [(GRID, index) for index in range(4)]),
        dataset_to_volumes,
    ),
    "segmentation": (
        lambda: made_seg([(1, 0, MASK), (2, 3, MASK)]).dataset().unwrap().pydicom,
        masks_of,
    ),
    "structure set": (lambda: structure_set(("CLOSED_PLANAR", 1, SQUARE)), regions_of),
    "PET": (lambda: pet_slices()[0], suv_scale),
}

WRONG: dict[str, list[Any]] = {
    "US": [0, 1, 7, 65535],
    "IS": ["0", "-1", "99999"],
    "DS": [
        "0",
        "-1",
        "1e300",
        "nan",
        ["nan", "0", "0"],
        ["1", "2"],
        ["0"] * 3,
        ["1", "0", "0", "0", "1", "0"],
    ],
    "CS": ["", "NONSENSE"],
    "UI": ["", "1.2.840.10008.5.1.4.1.1.2"],
    "TM": ["", "999999", "1"],
    "DA": ["", "20249999"],
    "OB": [b"", b"\\0"],
    "OW": [b"", b"\\0\\0"],
}


def elements_of(dataset: pydicom.Dataset) -> list[tuple[pydicom.Dataset, int]]:
    """List every element with the data set that holds it, in sequences too."""
    found: list[tuple[pydicom.Dataset, int]] = []
    for element in dataset:
        found.append((dataset, int(element.tag)))
        if element.VR == "SQ":
            for item in element.value:
                found += elements_of(item)
    return found


@pytest.mark.parametrize("kind", list(LOADERS))
@given(data=st.data())
def test_one_damaged_attribute(kind: str, data: st.DataObject) -> None:
    """Whatever is missing, empty, zero, huge or of another kind, the answer is a Result."""
    make, load = LOADERS[kind]
    dataset = make()
    holder, tag = data.draw(st.sampled_from(elements_of(dataset)))
    element = holder[tag]
    choice = data.draw(st.sampled_from(["absent", "empty", "wrong"]))
    with pydicom.config.disable_value_validation():
        if choice == "absent":
            del holder[tag]
        elif choice == "empty" or element.VR not in WRONG:
            holder.add_new(tag, element.VR, [] if element.VR == "SQ" else None)
        else:
            holder.add_new(tag, element.VR, data.draw(st.sampled_from(WRONG[element.VR])))
        match load(dataset):
            case Success(_):
                pass
            case Failure(error):
                assert isinstance(error, PacsError)
                assert len(error.message) > 10
