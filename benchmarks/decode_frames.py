"""Compressed frames to arrays: our codecs with one thread and with two, and pydicom's plugins.

The image is a phantom with noise, 64 frames of 512 x 512 and 12 bits (8 where the syntax is
for 8), compressed by our own encoders.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from benchmarks.harness import Comparison, Contestant, scaled
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    decode_frames,
    instance_from_dataset,
    part10_header,
    transcode,
    transfer_syntax,
)

__all__ = ["comparisons"]

_FRAMES = scaled(64)
_KEYWORDS = (
    "RLELossless",
    "JPEGBaseline8Bit",
    "JPEGExtended12Bit",
    "JPEGLosslessSV1",
    "JPEGLSLossless",
    "JPEGLSNearLossless",
    "JPEG2000Lossless",
    "JPEG2000",
    "HTJ2KLossless",
    "JPEGXLLossless",
    "JPEGXL",
    "DeflatedImageFrameCompression",
)


def comparisons() -> tuple[Comparison, ...]:
    """Compare for every syntax that has a decoder."""
    images = {bits: _image(bits) for bits in (8, 12)}
    return tuple(
        _decoded(images[8 if "8Bit" in keyword else 12], transfer_syntax(keyword).unwrap())
        for keyword in _KEYWORDS
    )


def _image(bits: int) -> Instance:
    """Make a phantom: an ellipse on a dark ground, smooth inside, with noise."""
    rows, columns = np.mgrid[-1:1:512j, -1:1:512j]
    inside = (rows / 0.8) ** 2 + (columns / 0.6) ** 2 < 1
    full = (1 << bits) - 1
    plane = np.where(inside, full * (0.4 + 0.2 * np.cos(5 * rows)), full * 0.02)
    noise = np.random.default_rng(5).normal(0, full / 200, (_FRAMES, 512, 512))
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.clip(plane + noise, 0, full).astype(dtype)
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = pixels.itemsize * 8
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.add_new(0x7FE00010, "OB" if bits == 8 else "OW", pixels.tobytes())
    return instance_from_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def _decoded(image: Instance, syntax: TransferSyntax) -> Comparison:
    instance = transcode(image, syntax, new_sop_instance_uid=False).unwrap()
    header = part10_header(instance.sop_class_uid, instance.sop_instance_uid, syntax.uid)
    theirs = pydicom.dcmread(BytesIO(header + bytes(instance.encoded.view())))

    def ours(threads: int) -> Contestant:
        name = f"pacs_sdk, {threads} thread{'s' if threads > 1 else ''}"
        return Contestant(name, lambda: decode_frames(instance, threads=threads).unwrap())

    return Comparison(
        f"decode {syntax.name}",
        "frames",
        _FRAMES,
        (ours(1), ours(2), *_plugins(theirs, syntax.uid)),
    )


def _plugins(dataset: pydicom.Dataset, uid: str) -> list[Contestant]:
    try:
        decoder = get_decoder(UID(uid))
    except NotImplementedError:  # JPEG XL and deflated frames are newer than pydicom
        return []

    def contestant(plugin: str) -> Contestant:
        def run() -> None:
            decoder.as_array(dataset, raw=True, decoding_plugin=plugin)

        return Contestant(f"pydicom with {plugin}", run)

    every = [contestant(plugin) for plugin in decoder.available_plugins]
    return [one for one in every if _works(one)]


def _works(contestant: Contestant) -> bool:
    """Whether a plugin decodes this: GDCM, for one, has no JPEG of 12 bits."""
    try:
        contestant.run()
    except (RuntimeError, ValueError):
        return False
    return True
