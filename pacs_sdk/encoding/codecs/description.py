"""What a codec is told and what it has to be."""

from __future__ import annotations

from typing import Protocol

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["Codec", "FrameDescription", "pixel_failure"]


@attrs.frozen
class FrameDescription:
    """The attributes of the Image Pixel Module that say what one frame is (PS3.3 C.7.6.3)."""

    rows: int
    """Rows."""
    columns: int
    """Columns."""
    samples: int
    """Samples per Pixel."""
    bits_allocated: int
    """Bits Allocated."""
    bits_stored: int
    """Bits Stored."""
    high_bit: int
    """High Bit."""
    signed: bool
    """Pixel Representation."""
    planar: bool
    """Planar Configuration: each sample's plane for itself."""
    photometric: str
    """Photometric Interpretation."""
    raw: bool = False
    """Whether colour stays in the space it is stored in; else it becomes RGB."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a frame: (rows, columns[, samples])."""
        plane = (self.rows, self.columns)
        return plane if self.samples == 1 else (*plane, self.samples)

    @property
    def values(self) -> int:
        """How many numbers a frame has."""
        return self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype:
        """The type of stored values, in the machine's byte order; a byte for a single bit.

        Raises:
            PacsException: ``PIXEL_DATA_FAILED`` for Bits Allocated that no number has.
        """
        if self.bits_allocated == 1:
            return np.dtype(np.uint8)
        if self.bits_allocated not in (8, 16, 32, 64):
            raise pixel_failure(f"Bits Allocated is {self.bits_allocated}, not 1, 8, 16, 32 or 64")
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")


class Codec(Protocol):
    """A decoder of one frame, registered by transfer syntax.

    A package offers one through an entry point in the group ``pacs_sdk.codecs``, whose
    object is a codec or is called without arguments to make one.
    """

    @property
    def name(self) -> str:
        """What it is called in an order of preference."""

    @property
    def transfer_syntaxes(self) -> frozenset[str]:
        """The UIDs of the transfer syntaxes it decodes."""

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame.

        Several threads may call this at once.

        Args:
            frame: The bytes of the frame, fragments joined; a byte of padding may follow.
            description: What the attributes say it is.

        Returns:
            Stored values of the shape and dtype of ``description``; colour as RGB unless
            ``description.raw``.

        Raises:
            PacsException: ``PIXEL_DATA_FAILED`` or ``LIMIT_EXCEEDED``.
            RuntimeError: What a library behind it raises for bytes that it cannot decode;
                also ValueError, TypeError, ArithmeticError, LookupError, MemoryError.
        """


def pixel_failure(reason: str) -> PacsException:
    """Make the error for pixels that cannot be decoded."""
    return PacsException(ErrorCode.PIXEL_DATA_FAILED, reason)
