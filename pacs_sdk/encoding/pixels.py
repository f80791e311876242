"""Frames from whatever holds an image."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
import pydicom

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.datasets.writer import syntax_of
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.frames import frames_of_dataset, frames_of_instance
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameChoice, FrameOptions

__all__ = ["ImageSource", "decode_frames"]

ImageSource: TypeAlias = str | os.PathLike[str] | Instance | DatasetLike
"""What an image can be taken from."""


@edge()
def decode_frames(  # each is a keyword with a default
    source: ImageSource,
    *,
    raw: bool = False,
    frames: FrameChoice = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
    codecs: CodecRegistry | None = None,
) -> np.ndarray:
    """Decode the pixels of an image.

    What cells hold above High Bit, an overlay of old editions perhaps, is no part of a value:
    it is cleared, or made of the value's sign (PS3.5 8.1.1); what lossy compression has carried
    beyond Bits Stored becomes the nearest value. Native, RLE and deflated cells whose numbers
    don't begin at the lowest bit (High Bit isn't Bits Stored − 1) come as they are;
    :func:`pacs_sdk.encoding.rendering.modality_values` finds the values in them.

    Args:
        source: A path, an instance, or a data set. A data set that was not read from
            anywhere counts as Explicit VR Little Endian unless its file meta says otherwise.
        raw: Leave colour in the space it is stored in; otherwise it comes as RGB.
        frames: Which frames: one number from 0, several, a slice, or all. Of a path or an
            instance, frames that aren't wanted are not read.
        threads: How many compressed frames are decoded at once; as many as there are
            processors where it isn't given.
        out: An array to put the frames into, of the shape and dtype of the result.
        codecs: What decodes compressed frames; see :func:`default_codecs`. pydicom's
            decoders are asked for what none of these covers.

    Returns:
        ``Success`` with an array (frames, rows, columns[, samples]) of stored values, no
        rescale applied, in the machine's byte order, which is ``out`` if that was given; or
        ``Failure`` with ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``, ``INVALID_ARGUMENT`` for
        a frame that isn't there or an ``out`` that doesn't fit, or what reading gives.
    """
    options = FrameOptions(raw, frames, threads, out, codecs)
    if isinstance(source, DicomDataset | pydicom.Dataset):
        dataset = as_dataset(source)
        return raised(frames_of_dataset(dataset, syntax_of(dataset.pydicom), options))
    instance = source if isinstance(source, Instance) else raised(read_file(source))
    return raised(frames_of_instance(instance, options))
