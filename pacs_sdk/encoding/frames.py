"""From Pixel Data to an array of stored values (PS3.5 8, PS3.3 C.7.6.3)."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.elements import IMPLICIT_LITTLE
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["MAX_DECODED_BYTES", "frames_of_dataset"]

MAX_DECODED_BYTES: Final = 1 << 34
"""The largest array that is made, 16 GiB: beyond any single object in practice, and
attributes of a few bytes could otherwise ask for exabytes."""

_DECODER_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    StopIteration,  # pydicom, where no fragment makes a frame
    TypeError,
    ValueError,
)
"""What pydicom's decoders and the libraries behind them raise for data they can't decode."""


_FLOAT_BITS: Final = {"FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
_PIXEL_KEYWORDS: Final = ("PixelData", *_FLOAT_BITS)


@attrs.frozen
class _Layout:
    """The attributes that say how pixels are laid out (PS3.3 C.7.6.3.1)."""

    keyword: str
    """The element the pixels are in."""
    frames: int
    """Number of Frames; 1 where it is absent."""
    rows: int
    """Rows."""
    columns: int
    """Columns."""
    samples: int
    """Samples per Pixel."""
    bits_allocated: int
    """Bits Allocated."""
    signed: bool
    """Pixel Representation."""
    planar: bool
    """Planar Configuration: each sample's plane for itself."""
    photometric: str
    """Photometric Interpretation."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        shape = (self.frames, self.rows, self.columns)
        return shape if self.samples == 1 else (*shape, self.samples)

    @property
    def values(self) -> int:
        """How many numbers the result has."""
        return self.frames * self.rows * self.columns * self.samples


@edge(dict.fromkeys(_DECODER_ERRORS, ErrorCode.PIXEL_DATA_FAILED))
def frames_of_dataset(
    dataset: DicomDataset, syntax: TransferSyntax, *, raw: bool = False
) -> np.ndarray:
    """Decode the pixels of a data set.

    Args:
        dataset: The data set; words are in the byte order of ``syntax``.
        syntax: How it was encoded.
        raw: Leave colour in the space it is stored in.

    Returns:
        ``Success`` with an array (frames, rows, columns[, samples]) of stored values, or
        ``Failure`` with ``PIXEL_DATA_FAILED`` or ``LIMIT_EXCEEDED``.
    """
    layout = _layout_of(dataset)
    if syntax.encapsulated or layout.photometric.startswith("YBR"):
        return _through_pydicom(dataset.pydicom, layout, syntax, raw)
    return _native(dataset.pydicom, layout, syntax.little_endian)


def _layout_of(dataset: DicomDataset) -> _Layout:
    present = [keyword for keyword in _PIXEL_KEYWORDS if keyword in dataset]
    if not present:
        raise _failed("the data set has no Pixel Data")
    layout = _Layout(
        keyword=present[0],
        frames=max(_integer(dataset, "NumberOfFrames", 1), 1),
        rows=_integer(dataset, "Rows"),
        columns=_integer(dataset, "Columns"),
        samples=_integer(dataset, "SamplesPerPixel", 1),
        bits_allocated=_integer(dataset, "BitsAllocated"),
        signed=_integer(dataset, "PixelRepresentation", 0) == 1,
        planar=_integer(dataset, "PlanarConfiguration", 0) == 1,
        photometric=str(dataset.get("PhotometricInterpretation", "")),
    )
    if min(layout.rows, layout.columns, layout.samples) < 1:
        raise _failed(
            f"{layout.rows} rows of {layout.columns} columns of {layout.samples} samples "
            "make no image"
        )
    bytes_needed = layout.values * max(layout.bits_allocated, 8) // 8
    if bytes_needed > MAX_DECODED_BYTES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the frames would take {bytes_needed} bytes, the limit is {MAX_DECODED_BYTES}",
            limit=MAX_DECODED_BYTES,
        )
    return layout


def _integer(dataset: DicomDataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value is None and default is not None:
        return default
    if value is None:
        raise _failed(f"{keyword} is missing or empty")
    return int(value)


def _native(dataset: Dataset, layout: _Layout, little: bool) -> np.ndarray:
    """Shape native pixels (PS3.5 8.1, 8.2 without compression)."""
    element = dataset[layout.keyword]
    data = element.value or b""
    kind = {"FloatPixelData": "f", "DoubleFloatPixelData": "f"}.get(
        layout.keyword, "i" if layout.signed else "u"
    )
    allowed = _FLOAT_BITS.get(layout.keyword, (1, 8, 16, 32, 64))
    if layout.bits_allocated not in allowed:
        raise _failed(f"Bits Allocated is {layout.bits_allocated}, not one of {allowed}")
    needed = (layout.values * layout.bits_allocated + 7) // 8
    if len(data) < needed:
        raise _failed(
            f"the Pixel Data has {len(data)} bytes, "
            f"its attributes need {needed} ({layout.frames} frames, {layout.rows} rows, "
            f"{layout.columns} columns, {layout.samples} samples of "
            f"{layout.bits_allocated} bits)"
        )
    if layout.bits_allocated <= 8 and element.VR == "OW" and not little:
        # Words of two bytes: in big endian the first pixel is in the second byte.
        even = len(data) // 2 * 2
        data = np.frombuffer(data[:even], dtype="u2").byteswap().tobytes()
    if layout.bits_allocated == 1:
        bits = np.frombuffer(data, dtype="u1", count=needed)
        values = np.unpackbits(bits, bitorder="little")[: layout.values]
    else:
        width = layout.bits_allocated // 8
        stored = np.dtype(f"{'<' if little else '>'}{kind}{width}")
        values = np.frombuffer(data, dtype=stored, count=layout.values)
        values = values.astype(stored.newbyteorder("="))
    if not layout.planar or layout.samples == 1:
        return values.reshape(layout.shape)
    planes = values.reshape(layout.frames, layout.samples, layout.rows, layout.columns)
    return np.ascontiguousarray(np.moveaxis(planes, 1, -1))


def _through_pydicom(
    dataset: Dataset, layout: _Layout, syntax: TransferSyntax, raw: bool
) -> np.ndarray:
    """Decode with whichever of pydicom's decoders is there."""
    try:
        decoder = get_decoder(UID(syntax.uid))
        if syntax.encapsulated:
            _check_fragments(dataset[layout.keyword].value, layout)
        array, _ = decoder.as_array(dataset, raw=raw)
        return array.reshape(layout.shape)
    except _DECODER_ERRORS as exc:
        words = " ".join(str(exc).split())  # theirs run over several lines
        raise _failed(f"its {syntax.name} pixels cannot be decoded: {words}") from None


def _check_fragments(encapsulated: bytes, layout: _Layout) -> None:
    """Refuse fewer fragments than frames (PS3.5 A.4), before memory for the frames is taken."""
    unpack = IMPLICIT_LITTLE.unpack_implicit
    fragments, pos = -1, 0  # the first item is the Basic Offset Table
    while pos + 8 <= len(encapsulated):
        fragments += 1
        pos += 8 + unpack(encapsulated, pos)[2]
    if fragments < layout.frames:
        raise _failed(
            f"the Pixel Data has {max(fragments, 0)} fragments for {layout.frames} frames"
        )


def _failed(reason: str) -> PacsException:
    return PacsException(ErrorCode.PIXEL_DATA_FAILED, reason)
