"""What pydicom does with a data set, it does with ours: the result is that of its own reading."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import read_file
from tests.encoding.shipped import path_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd.dcm",
    "UN_sequence.dcm",
    "examples_palette.dcm",
    "image_dfl.dcm",
    "priv_SQ.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
)


def to_json(dataset: Dataset) -> object:
    """Convert to JSON, bulk data in line."""
    return dataset.to_json_dict()


def walked(dataset: Dataset) -> object:
    """Visit every element, those of items too."""
    found: list[tuple[int, str, object]] = []
    dataset.walk(lambda _, one: found.append((int(one.tag), str(one.VR), one.VM)))
    return found


def without_private_tags(dataset: Dataset) -> object:
    """Remove what is private, in items too."""
    dataset.remove_private_tags()
    return walked(dataset)


def without_a_slice(dataset: Dataset) -> object:
    """Delete a range of tags."""
    del dataset[0x00100000:0x00200000]
    return sorted(dataset.keys())


def group(dataset: Dataset) -> object:
    """Take one group out."""
    return sorted(dataset.group_dataset(0x0028).keys())


def copied(dataset: Dataset) -> object:
    """Copy: shallow, deep, and through a pickle."""
    return [
        other == dataset
        for other in (
            copy.copy(dataset),
            copy.deepcopy(dataset),
            pickle.loads(pickle.dumps(dataset)),  # noqa: S301  # our own bytes
        )
    ]


def written(dataset: Dataset) -> object:
    """Write with pydicom's writer as it was read, and read again."""
    buffer = DicomBytesIO()
    implicit, little = dataset.original_encoding
    buffer.is_implicit_VR, buffer.is_little_endian = bool(implicit), bool(little)
    write_dataset(buffer, dataset)
    stream = io.BytesIO(buffer.getvalue())
    again = pydicom.filereader.read_dataset(stream, bool(implicit), bool(little))
    return walked(again)


def pixels(dataset: Dataset) -> object:
    """Decode the pixels."""
    return dataset.pixel_array.tolist() if "PixelData" in dataset else None


OPERATIONS = (
    to_json,
    walked,
    without_private_tags,
    without_a_slice,
    group,
    copied,
    written,
    pixels,
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: str(one.__name__))
def test_the_result_is_the_same(name: str, operation: Callable[[Dataset], Any]) -> None:
    """Our data set and pydicom's own reading give the same."""
    ours = raised(raised(read_file(path_of(name))).dataset()).pydicom
    theirs = pydicom.dcmread(path_of(name), force=True)
    assert operation(ours) == operation(theirs)
