"""What the codecs of the SDK have in common: a table of what they can, checks before encoding."""

from __future__ import annotations

import abc
from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.description import (
    Capability,
    Codec,
    EncodeOptions,
    FrameDescription,
    encode_failure,
)

__all__ = ["CapableCodec", "ImagecodecsCodec", "low_bits", "within_bits", "within_cells"]

_RGB_ONCE_DECODED: Final = ("YBR_RCT", "YBR_ICT", "XYB")
"""What a decoder turns into RGB even where raw values are wanted."""


class CapableCodec(Codec):
    """A codec that says in one table what it does."""

    capabilities: tuple[Capability, ...]

    @property
    def transfer_syntaxes(self) -> frozenset[str]:
        """The UIDs of the transfer syntaxes it decodes."""
        return frozenset(one.transfer_syntax_uid for one in self.capabilities if one.decodes)

    @property
    def encodes(self) -> frozenset[str]:
        """The UIDs of the transfer syntaxes it encodes."""
        return frozenset(one.transfer_syntax_uid for one in self.capabilities if one.encodes)

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""
        return ""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        decoded = np.empty(description.shape, dtype=description.dtype)
        self.decode_into(frame, description, decoded)
        return decoded

    def decode_into(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> None:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        found = self._decoded(frame, description, out)
        if not np.may_share_memory(found, out):
            out[...] = found

    @abc.abstractmethod
    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        """Decode one frame, in ``out`` where the library can write there, or elsewhere."""

    def stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        """Say what the attributes will be; see :class:`pacs_sdk.encoding.Codec`."""
        reason = self._refusal(description, transfer_syntax_uid)
        if reason:
            raise encode_failure(
                f"the transfer syntax {transfer_syntax_uid} cannot hold such pixels: {reason}"
            )
        photometric = description.photometric
        if description.samples > 1:
            if photometric in _RGB_ONCE_DECODED:
                photometric = "RGB"
            elif photometric == "YBR_FULL_422":
                photometric = "YBR_FULL"  # a frame has all of its samples
            if photometric not in ("RGB", "YBR_FULL"):
                raise encode_failure(
                    f"colour in {photometric} cannot be encoded, convert it to RGB"
                )
        # Of a frame to be encoded, ``raw`` says that it needs no other colour space.
        plain = attrs.evolve(description, photometric=photometric, raw=True)
        return self._stored_as(plain, transfer_syntax_uid, options)

    def _refusal(self, description: FrameDescription, transfer_syntax_uid: str) -> str:
        for one in self.capabilities:
            if one.transfer_syntax_uid == transfer_syntax_uid:
                if not one.encodes:
                    return one.remark or "the codec only decodes it"
                return one.refusal(description)
        return f"the codec {self.name} doesn't know it"

    @abc.abstractmethod
    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        """Say what becomes of RGB, YBR_FULL or a single sample that can be held."""


class ImagecodecsCodec(CapableCodec):
    """A codec on a library that imagecodecs brings."""

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""
        if getattr(imagecodecs, self.name.upper()).available:
            return ""
        return f"the installed imagecodecs {imagecodecs.__version__} was built without {self.name}"


def within_cells(frame: np.ndarray, stored: FrameDescription) -> np.ndarray:
    """Check that a frame has the shape and type it is said to have.

    Raises:
        PacsException: ``ENCODE_FAILED``.
    """
    if frame.shape != stored.shape or frame.dtype != stored.dtype:
        raise encode_failure(
            f"the frame is {frame.shape} of {frame.dtype}, "
            f"its attributes say {stored.shape} of {stored.dtype}"
        )
    return frame


def within_bits(frame: np.ndarray, stored: FrameDescription) -> np.ndarray:
    """Check that a frame has the shape and type it is said to have, and fits Bits Stored.

    A library that is told of fewer bits than a value has would lose them without a word.

    Returns:
        The frame, its rows one after the other in memory.

    Raises:
        PacsException: ``ENCODE_FAILED``.
    """
    within_cells(frame, stored)
    bits = stored.bits_stored
    if bits < frame.dtype.itemsize * 8 and frame.size:
        lowest, highest = int(frame.min()), int(frame.max())
        least = -1 << bits - 1 if stored.signed else 0
        most = least + (1 << bits) - 1
        if lowest < least or highest > most:
            raise encode_failure(
                f"the frame has values from {lowest} to {highest}, "
                f"{bits} Bits Stored hold {least} to {most}"
            )
    return np.ascontiguousarray(frame)


def low_bits(frame: np.ndarray, stored: FrameDescription) -> np.ndarray:
    """Give a frame to compression that knows no sign: the low Bits Stored (PS3.5 8.1.1).

    Returns:
        Unsigned numbers; bytes where Bits Stored fit them.
    """
    checked = within_bits(frame, stored)
    bits, width = stored.bits_stored, checked.dtype.itemsize
    unsigned = checked.view(f"u{width}")
    if stored.signed and bits < width * 8:
        unsigned = unsigned & unsigned.dtype.type((1 << bits) - 1)
    return unsigned.astype(np.uint8) if bits <= 8 < width * 8 else unsigned
