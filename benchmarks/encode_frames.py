"""Encoding frames, one and several at once: our encoders against pydicom's plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pydicom
import pydicom.data
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID
from typing_extensions import Buffer

from benchmarks.harness import Comparison, Contestant, scaled
from pacs_sdk.encoding import EncodeOptions, FrameDescription, default_codecs
from pacs_sdk.encoding.transcoding.transcode_job import batch_encoder, in_batches

__all__ = ["comparisons"]

_FRAMES: Final = scaled(32)
_JPEG: Final = "1.2.840.10008.1.2.4."
_RATIO: Final = 10.0

_PEERS: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "1.2.840.10008.1.2.5": (("pylibjpeg", {}), ("gdcm", {})),
    "1.2.840.10008.1.2.8.1": (),
    _JPEG + "51": (),
    _JPEG + "70": (),
    _JPEG + "80": (("pyjpegls", {}),),
    _JPEG + "81": (("pyjpegls", {"jls_error": 2}),),
    _JPEG + "90": (("pylibjpeg", {}),),
    # pydicom counts a ratio from Bits Stored, 12 of 16 here.
    _JPEG + "91": (("pylibjpeg", {"j2k_cr": [_RATIO * 12 / 16]}),),
    _JPEG + "202": (),
    _JPEG + "203": (),
    _JPEG + "110": (),
    _JPEG + "112": (),
}
"""Transfer syntaxes, and the plugins of pydicom that encode them."""


def _frames() -> list[np.ndarray]:
    """Make frames of 512 by 512 pixels from the CT slice that ships inside pydicom."""
    found = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    if not isinstance(found, str):
        raise FileNotFoundError("pydicom was installed without its test files")
    slice_ = pydicom.dcmread(found).pixel_array
    tiled = np.tile(slice_, (4, 4)).astype("u2")
    return [np.ascontiguousarray(np.roll(tiled, 17 * number, axis=0)) for number in range(_FRAMES)]


def comparisons() -> tuple[Comparison, ...]:
    """Compare every transfer syntax."""
    frames = _frames()
    return tuple(_of_syntax(uid, frames) for uid in _PEERS)


def _of_syntax(uid: str, frames: list[np.ndarray]) -> Comparison:
    codec = default_codecs().encoder_for(uid)
    if codec is None:
        raise LookupError(f"nothing encodes {uid}")
    rows, columns = frames[0].shape
    options = EncodeOptions(compression_ratio=_RATIO)
    description = FrameDescription(
        rows, columns, 1, 16, 12, 11, signed=False, planar=False, photometric="MONOCHROME2"
    )
    stored = codec.stored_as(description, uid, options)

    def ours(threads: int) -> Contestant:
        used = threads if codec.encodes_at_once(uid, options) else 1  # as `transcode` does

        def run() -> list[Buffer]:
            encode = batch_encoder(codec, stored, uid, options, _FRAMES)
            made = in_batches(
                lambda number: encode(number, frames[number]), _FRAMES, frames[0].nbytes, used
            )
            return list(made)

        return Contestant(f"pacs_sdk, {threads} thread{'s' if threads > 1 else ''}", run)

    peers = tuple(
        Contestant(f"pydicom with {plugin}", _pydicom(uid, plugin, frames, extra))
        for plugin, extra in _PEERS[uid]
    )
    return Comparison(f"encode {UID(uid).name}", "frames", _FRAMES, (ours(1), ours(2), *peers))


def _pydicom(
    uid: str, plugin: str, frames: list[np.ndarray], extra: dict[str, Any]
) -> Callable[[], object]:
    encoder = get_encoder(UID(uid))
    rows, columns = frames[0].shape
    told = {
        "rows": rows,
        "columns": columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "bits_allocated": 16,
        "bits_stored": 12,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
        **extra,
    }

    def run() -> list[bytes]:
        return [encoder.encode(frame, encoding_plugin=plugin, **told) for frame in frames]

    return run
