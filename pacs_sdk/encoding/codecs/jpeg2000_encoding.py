"""JPEG 2000 by OpenJPEG and HTJ2K by OpenJPH: what is asked of them, and what has to be mended."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Final

import imagecodecs
import numpy as np
from openjpeg.utils import encode_array

from pacs_sdk.encoding.codecs.description import EncodeOptions, FrameDescription, encode_failure

__all__ = ["encode_htj2k", "encode_jpeg2000", "htj2k_precision"]

_SRGB: Final = 1
_UNSPECIFIED: Final = 0
"""Colour spaces of pylibjpeg-openjpeg; only of sRGB it transforms the components."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Two threads in the encoder of pylibjpeg-openjpeg 2.6 at once end in a segmentation fault, as
it calls Python on its way. It keeps the interpreter's lock, so nothing is lost by this one."""

_LOWEST_RESOLUTION: Final = 64
"""Rows and columns that the lowest resolution of the RPCL syntax has at most (PS3.5 10.18.1)."""
_LEAST_LEVELS: Final = 5
"""Decompositions, where no more are needed; the default of both libraries."""

_FINEST_STEP, _COARSEST_STEP = -18, -1
"""Between these powers of two, as parts of the range of values, a quantization step is sought:
a quarter of a number of 16 bits, and half of the range."""
_FINEST_PSNR, _COARSEST_PSNR = 120.0, 10.0
"""Between these decibels the noise of a frame is sought that OpenJPEG cannot bring to a size."""
_MOSTLY_HEADER: Final = 256
"""Bytes of a codestream that no loss would make much smaller."""
_EVERY_BIT_PLANE: Final = 0.0
"""In the place of decibels: of the irreversible wavelet nothing is left out."""
_MOST_TRIES: Final = 9
"""Halvings of an interval: a step is then known to 1/30 of a power of two."""
_NEAR_ENOUGH: Final = 0.95
"""A codestream of this part of the wanted size is taken, to spare more tries."""

_LEAST_SIDE: Final = 32
"""Rows and columns that pylibjpeg-openjpeg needs at least: it always asks for six resolutions,
each half of the one before. imagecodecs asks for as many as there can be."""

_SIZ, _QCD, _QCC, _SOT = 0xFF51, 0xFF5C, 0xFF5D, 0xFF90
_FIRST_PRECISION: Final = 36
"""Where Ssiz of the first component is (A.5.1), counted from the first field."""
_GUARD_BITS: Final = 1
"""What OpenJPH uses; up to 7 are allowed (ISO/IEC 15444-1 A.6.4)."""
_MOST_UNUSED: Final = 7 - _GUARD_BITS
"""By how much precision can be corrected afterwards."""


def encode_jpeg2000(
    values: np.ndarray, stored: FrameDescription, lossy: EncodeOptions | None
) -> bytes:
    """Encode JPEG 2000.

    Args:
        values: A frame that fits Bits Stored.
        stored: What it will be; unless it is ``raw`` the components are transformed.
        lossy: The ratio or noise that is wanted; ``None`` loses nothing.
    """
    if lossy is None:
        return _jpeg2000(values, stored, None)
    if lossy.psnr is not None:
        # Of a frame of one value OpenJPEG misjudges the noise, by 100 decibels for some.
        even = values.min() == values.max()
        return _jpeg2000(values, stored, _EVERY_BIT_PLANE if even else lossy.psnr)
    if min(stored.rows, stored.columns) < _LEAST_SIDE:
        wanted = int(values.nbytes / lossy.compression_ratio)
        whole = _jpeg2000(values, stored, _EVERY_BIT_PLANE)
        if len(whole) <= max(wanted, _MOSTLY_HEADER):
            return whole
        return _of_size(
            lambda psnr: _jpeg2000(values, stored, psnr), _FINEST_PSNR, _COARSEST_PSNR, wanted
        )
    # OpenJPEG counts in Bits Stored, DICOM in what native pixels take.
    ratio = lossy.compression_ratio * stored.bits_stored / stored.bits_allocated
    with _ONE_AT_A_TIME:
        return encode_array(
            values,
            bits_stored=stored.bits_stored,
            photometric_interpretation=_UNSPECIFIED if stored.raw else _SRGB,
            use_mct=not stored.raw,
            compression_ratios=[max(ratio, 1.0)],
        )


def _jpeg2000(values: np.ndarray, stored: FrameDescription, psnr: float | None) -> bytes:
    made = imagecodecs.jpeg2k_encode(
        values,
        level=0 if psnr is None else psnr,  # type: ignore[arg-type]  # decibels: a float, too
        reversible=psnr is None,
        codecformat="J2K",
        bitspersample=stored.bits_stored,
        mct=not stored.raw,
        numthreads=1,
    )
    return bytes(made)


def _of_size(encode: Callable[[float], bytes], fine: float, coarse: float, wanted: int) -> bytes:
    """Halve the interval between two settings until a codestream is about as large as wanted."""
    best = encode(coarse)
    for _ in range(_MOST_TRIES):
        middle = (fine + coarse) / 2
        made = encode(middle)
        if len(made) > wanted:
            fine = middle
            continue
        best = made
        if len(made) >= wanted * _NEAR_ENOUGH:
            break
        coarse = middle
    return best


def encode_htj2k(values: np.ndarray, stored: FrameDescription, ratio: float) -> bytes:
    """Encode HTJ2K in the progression RPCL and with a TLM segment, which one syntax demands.

    Args:
        values: A frame that fits Bits Stored.
        stored: What it will be; unless it is ``raw`` the components are transformed.
        ratio: How many times smaller than native pixels it should be; 1 loses nothing.
    """
    frame, unused = _centred(values, stored), _unused_bits(stored)
    if ratio <= 1:
        return _narrowed(_htj2k(frame, stored, None), stored, unused)
    wanted = int(values.nbytes / ratio)
    fine, coarse = float(_FINEST_STEP), float(_COARSEST_STEP - unused)
    best = _of_size(lambda step: _htj2k(frame, stored, 2.0**step), fine, coarse, wanted)
    return _narrowed(best, stored, unused)


def _htj2k(frame: np.ndarray, stored: FrameDescription, step: float | None) -> bytes:
    levels, size = 0, max(stored.rows, stored.columns)
    while size > _LOWEST_RESOLUTION:
        levels, size = levels + 1, (size + 1) // 2
    made = imagecodecs.htj2k_encode(
        frame,
        level=step,
        reversible=step is None,
        rgb=stored.samples == 3 and not stored.raw,
        resolutions=max(levels, _LEAST_LEVELS),
        tlm=True,
    )
    return bytes(made)


def htj2k_precision(stored: FrameDescription) -> int:
    """Say how many bits a value has in the codestream: Bits Stored, or one more."""
    return stored.bits_allocated - _unused_bits(stored)


def _unused_bits(stored: FrameDescription) -> int:
    """By how much the precision of the codestream has to be corrected."""
    return min(stored.bits_allocated - stored.bits_stored, _MOST_UNUSED)


def _centred(values: np.ndarray, stored: FrameDescription) -> np.ndarray:
    """Shift unsigned values to where a decoder of their precision will shift them back from.

    OpenJPH takes numbers of 8 or 16 bits. With fewer Bits Stored they are given to it as
    signed ones, and :func:`_narrowed` says afterwards what they are.
    """
    unused = _unused_bits(stored)
    if stored.signed or not unused:
        return values
    half = 1 << stored.bits_allocated - unused - 1
    shifted: np.ndarray = values - values.dtype.type(half)  # modulo, as the view undoes it
    return shifted.view(f"i{shifted.itemsize}")


def _narrowed(codestream: bytes, stored: FrameDescription, unused: int) -> bytes:
    """Correct the precision in a codestream from Bits Allocated to Bits Stored.

    The number of bit planes is guard bits plus exponent minus 1 (ISO/IEC 15444-1 E.1), and a
    step is relative to the precision (E.3): with n bits less of precision, n less in each
    exponent and n guard bits more, everything coded stays as it is.

    Raises:
        PacsException: ``ENCODE_FAILED`` where the header is not as OpenJPH makes it.
    """
    if not unused:
        return codestream
    data = bytearray(codestream)
    size, quantization = _main_header(data)
    steps = _steps(data, quantization)
    if data[quantization.start] >> 5 != _GUARD_BITS or min(steps) >> 11 < unused:
        raise encode_failure("OpenJPH made a codestream with other guard bits or exponents")
    data[quantization.start] += unused << 5
    for number, step in enumerate(steps):
        _put_step(data, quantization, number, step - (unused << 11))
    precision = (0x80 if stored.signed else 0) | stored.bits_allocated - unused - 1
    for component in range(stored.samples):
        data[size.start + _FIRST_PRECISION + 3 * component] = precision
    return bytes(data)


def _main_header(data: bytearray) -> tuple[range, range]:
    """Find the fields of the segments SIZ and QCD.

    Raises:
        PacsException: ``ENCODE_FAILED`` where one is not there that has to be.
    """
    found: dict[int, range] = {}
    pos = 2
    while pos + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, pos)
        if marker == _SOT:
            break
        found[marker] = range(pos + 4, pos + 2 + length)
        pos += 2 + length
    if _SIZ not in found or _QCD not in found or _QCC in found:
        raise encode_failure("OpenJPH made a codestream whose header isn't understood")
    return found[_SIZ], found[_QCD]


def _steps(data: bytearray, quantization: range) -> list[int]:
    """Read the steps, exponents above the 11 bits of mantissa (ISO/IEC 15444-1 A.6.4)."""
    begin, end = quantization.start + 1, quantization.stop
    if data[quantization.start] & 0x1F:
        return [int.from_bytes(data[at : at + 2], "big") for at in range(begin, end, 2)]
    return [value << 8 for value in data[begin:end]]


def _put_step(data: bytearray, quantization: range, number: int, step: int) -> None:
    begin = quantization.start + 1
    if data[quantization.start] & 0x1F:
        data[begin + 2 * number : begin + 2 * number + 2] = step.to_bytes(2, "big")
    else:
        data[begin + number] = step >> 8
