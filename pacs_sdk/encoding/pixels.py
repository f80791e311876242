"""Frames from whatever holds an image."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
import pydicom

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.frames import frames_of_dataset
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.part10 import read_file
from pacs_sdk.encoding.writer import syntax_of

__all__ = ["ImageSource", "decode_frames"]

ImageSource: TypeAlias = str | os.PathLike[str] | Instance | DatasetLike
"""What an image can be taken from."""


@edge()
def decode_frames(source: ImageSource, *, raw: bool = False) -> np.ndarray:
    """Decode the pixels of an image.

    Args:
        source: A path, an instance, or a data set. A data set that was not read from
            anywhere counts as Explicit VR Little Endian unless its file meta says otherwise.
        raw: Leave colour in the space it is stored in; otherwise it comes as RGB.

    Returns:
        ``Success`` with an array (frames, rows, columns[, samples]) of stored values, no
        rescale applied, in the machine's byte order; or ``Failure`` with
        ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``, or what reading gives.
    """
    if isinstance(source, DicomDataset | pydicom.Dataset):
        dataset = as_dataset(source)
        return raised(frames_of_dataset(dataset, syntax_of(dataset.pydicom), raw=raw))
    instance = source if isinstance(source, Instance) else raised(read_file(source))
    return raised(frames_of_dataset(raised(instance.dataset()), instance.syntax, raw=raw))
