"""What a codec is told and what it has to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "Capability",
    "Codec",
    "EncodeOptions",
    "FrameDescription",
    "encode_failure",
    "pixel_failure",
]


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
    cells: bool = False
    """Whether whole cells are wanted, as native ones are, with what lies beside Bits Stored, an
    overlay of old editions perhaps; else the numbers in them."""

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
    def unused_below(self) -> int:
        """How many bits of a cell lie below its number; none where High Bit makes no sense."""
        below = self.high_bit + 1 - self.bits_stored
        possible = 1 <= self.bits_stored <= self.high_bit + 1 <= self.bits_allocated
        return below if possible else 0

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


def _within(least: float, most: float) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    """Make a validator of numbers in a range, whole ones where its ends are."""
    kinds = (int, np.integer) if isinstance(least, int) else (int, float, np.number)

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, kinds) or not least <= value <= most:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{attribute.name} is {value!r}, it has to be a number from {least} to {most}",
            )

    return check


@attrs.frozen(kw_only=True)
class EncodeOptions:
    """How frames are compressed; each transfer syntax looks at what concerns it.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where a value is out of its range.
    """

    quality: int = attrs.field(default=90, validator=_within(1, 100))
    """JPEG Baseline and Extended: 1 to 100 on the scale of the Independent JPEG Group."""
    max_error: int = attrs.field(default=2, validator=_within(0, 255))
    """JPEG-LS near-lossless: how far a value may be off (NEAR); 0 loses nothing."""
    compression_ratio: float = attrs.field(default=10.0, validator=_within(1.0, 1000.0))
    """JPEG 2000 and HTJ2K that may lose: how many times smaller; 1 loses nothing."""
    psnr: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_within(20.0, 120.0))
    )
    """JPEG 2000 that may lose, in place of ``compression_ratio``: the peak signal-to-noise
    ratio in decibels; several frames are then encoded at once."""
    distance: float = attrs.field(default=1.0, validator=_within(0.0, 25.0))
    """JPEG XL that may lose: Butteraugli distance, 1 is hardly visible; 0 loses nothing."""
    effort: int = attrs.field(default=3, validator=_within(1, 9))
    """JPEG XL and Deflated Image Frame: 1 is fastest, 9 smallest."""


@attrs.frozen(kw_only=True)
class Capability:
    """What a codec does with one transfer syntax."""

    transfer_syntax_uid: str
    """The UID of the transfer syntax."""
    bits_allocated: tuple[int, ...]
    """The values of Bits Allocated that it takes."""
    bits_stored: tuple[int, int]
    """The fewest and the most bits of a value."""
    samples: tuple[int, ...] = (1, 3)
    """The values of Samples per Pixel that it takes."""
    signed: bool = True
    """Whether values may be signed."""
    signed_colour: bool = False
    """Whether those of several samples may."""
    palette: bool = True
    """Whether values may be indices of a palette."""
    unused_bits: bool = False
    """Whether what lies around Bits Stored in the cells, such as an overlay, is kept."""
    lossless: bool = True
    """Whether it can lose nothing."""
    lossy: bool = False
    """Whether it can lose something."""
    decodes: bool = True
    """Whether the codec decodes it."""
    encodes: bool = True
    """Whether the codec encodes it."""
    remark: str = ""
    """What else is to be known of it, in a few words."""

    def refusal(self, description: FrameDescription) -> str:
        """Say why frames like these cannot be held; nothing if they can."""
        fewest, most = self.bits_stored
        if description.bits_allocated not in self.bits_allocated:
            allowed = _either(self.bits_allocated)
            return f"Bits Allocated is {description.bits_allocated}, not {allowed}"
        if not fewest <= description.bits_stored <= most:
            return f"Bits Stored is {description.bits_stored}, not {fewest} to {most}"
        if description.samples not in self.samples:
            return f"Samples per Pixel is {description.samples}, not {_either(self.samples)}"
        if description.signed and not self.signed:
            return "the values are signed"
        if description.signed and description.samples > 1 and not self.signed_colour:
            return "the values are colour and signed"
        if description.photometric == "PALETTE COLOR" and not self.palette:
            return "the values are indices of a palette, which lossy compression would mix up"
        if description.high_bit != description.bits_stored - 1 and not self.unused_bits:
            return (
                f"High Bit is {description.high_bit} with {description.bits_stored} Bits Stored: "
                "the values don't begin at the lowest bit"
            )
        return ""


def _either(numbers: tuple[int, ...]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} or {last}" if others else last


class Codec(Protocol):
    """Decodes and encodes single frames, registered by transfer syntax.

    A package offers one through an entry point in the group ``pacs_sdk.codecs``, whose
    object is a codec or is called without arguments to make one. A codec that only decodes
    derives from this class, and need not have :attr:`encodes` and what belongs to it.
    """

    @property
    def name(self) -> str:
        """What it is called in an order of preference."""

    @property
    def transfer_syntaxes(self) -> frozenset[str]:
        """The UIDs of the transfer syntaxes it decodes."""

    @property
    def encodes(self) -> frozenset[str]:
        """The UIDs of the transfer syntaxes it encodes; none where it only decodes."""
        return frozenset()

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What it does with each transfer syntax; none where it doesn't say."""
        return ()

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
            ``description.raw``; bits beside Bits Stored, where the codestream has them, if
            ``description.cells``.

        Raises:
            PacsException: ``PIXEL_DATA_FAILED`` or ``LIMIT_EXCEEDED``.
            RuntimeError: What a library behind it raises for bytes that it cannot decode;
                also ValueError, TypeError, ArithmeticError, LookupError, MemoryError.
        """

    def decode_into(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> None:
        """Decode one frame to where it is wanted.

        A codec whose library can write there directly does so and spares a copy.

        Args:
            frame: As for :meth:`decode`.
            description: As for :meth:`decode`.
            out: Of the shape and dtype of ``description``. What it holds after a failure is
                not defined.

        Raises:
            PacsException: As by :meth:`decode`, and ``PIXEL_DATA_FAILED`` where that gives
                another shape.
        """
        found = self.decode(frame, description)
        if found.shape != out.shape:
            raise pixel_failure(f"codec {self.name} gave {found.shape}, not {out.shape}")
        out[...] = found

    def stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        """Say what the attributes will be once frames are encoded (PS3.5 8.2).

        Args:
            description: What the frames are now.
            transfer_syntax_uid: One of :attr:`encodes`.
            options: How they will be compressed.

        Raises:
            PacsException: ``ENCODE_FAILED`` where such frames cannot be held.
        """
        raise encode_failure(f"the codec {self.name} doesn't encode")

    def is_lossy(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether :meth:`encode` with these options may lose something."""
        return False

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame.

        Several threads may call this at once.

        Args:
            frame: Stored values (rows, columns[, samples]) in the colour space and of the
                dtype of the description that :meth:`stored_as` was given.
            stored: What :meth:`stored_as` returned; unless its ``raw`` is true the frame
                is RGB, and becomes what its ``photometric`` says.
            transfer_syntax_uid: One of :attr:`encodes`.
            options: How it is compressed; the same that :meth:`stored_as` was given.

        Returns:
            The frame, not padded to an even length.

        Raises:
            PacsException: ``ENCODE_FAILED``.
            RuntimeError: What a library behind it raises for what it cannot encode; also
                ValueError, TypeError, ArithmeticError, LookupError, MemoryError.
        """
        raise encode_failure(f"the codec {self.name} doesn't encode")

    def encodes_at_once(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether several threads that call :meth:`encode` are faster than one."""
        return True

    def encoded_limit(self, stored: FrameDescription) -> int | None:
        """Return the most bytes that a frame can take, where :meth:`encode_into` saves a copy.

        Args:
            stored: What :meth:`stored_as` returned.
        """
        return None

    def encode_into(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
        out: np.ndarray,
    ) -> int:
        """Encode one frame to memory that is there.

        Args:
            frame: As for :meth:`encode`.
            stored: As for :meth:`encode`.
            transfer_syntax_uid: As for :meth:`encode`.
            options: As for :meth:`encode`.
            out: Bytes (uint8, one dimension), :meth:`encoded_limit` of them or more.

        Returns:
            How many bytes the frame takes.

        Raises:
            PacsException: As by :meth:`encode`.
        """
        encoded = self.encode(frame, stored, transfer_syntax_uid, options)
        out[: len(encoded)] = np.frombuffer(encoded, np.uint8)
        return len(encoded)


def pixel_failure(reason: str) -> PacsException:
    """Make the error for pixels that cannot be decoded."""
    return PacsException(ErrorCode.PIXEL_DATA_FAILED, reason)


def encode_failure(reason: str) -> PacsException:
    """Make the error for pixels that cannot be encoded."""
    return PacsException(ErrorCode.ENCODE_FAILED, reason)
