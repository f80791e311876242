"""JPEG files inside JPEG XL: another compression of the same coefficients (PS3.5 A.4.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import imagecodecs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["recompression"]

_JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
_JPEG_XL_RECOMPRESSION: Final = "1.2.840.10008.1.2.4.111"


def recompression(from_uid: str, to_uid: str) -> Callable[[Buffer], bytes] | None:
    """Find the function that turns a codestream of one syntax into that of another.

    Back from JPEG XL comes the JPEG file, every bit of it.

    Args:
        from_uid: The transfer syntax of the codestream.
        to_uid: The transfer syntax wanted.

    Returns:
        The function, which raises :class:`PacsException` with ``PIXEL_DATA_FAILED`` for
        bytes that it cannot take; or ``None`` where there is none.
    """
    return _FUNCTIONS.get((from_uid, to_uid))


def _into_jpeg_xl(frame: Buffer) -> bytes:
    try:
        return bytes(imagecodecs.jpegxl_encode_jpeg(bytes(frame), numthreads=1))
    except (RuntimeError, ValueError) as exc:
        raise _failed("a JPEG frame cannot become JPEG XL", exc) from None


def _out_of_jpeg_xl(frame: Buffer) -> bytes:
    try:
        return bytes(imagecodecs.jpegxl_decode_jpeg(bytes(frame), numthreads=1))
    except (RuntimeError, ValueError) as exc:
        raise _failed("a JPEG XL frame holds no JPEG file that it was made of", exc) from None


def _failed(words: str, exc: Exception) -> PacsException:
    reason = " ".join(str(exc).split())
    return PacsException(ErrorCode.PIXEL_DATA_FAILED, f"{words}: {reason}")


_FUNCTIONS: Final = {
    (_JPEG_BASELINE, _JPEG_XL_RECOMPRESSION): _into_jpeg_xl,
    (_JPEG_XL_RECOMPRESSION, _JPEG_BASELINE): _out_of_jpeg_xl,
}
