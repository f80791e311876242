"""From Pixel Data to an array of stored values (PS3.5 8, PS3.3 C.7.6.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

import attrs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.codecs.registry import CodecRegistry, default_codecs
from pacs_sdk.encoding.codecs.stored import conform_numbers, ybr_to_rgb
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.encoding.pixel_data.cell_syntaxes import LOSSLESS_SYNTAXES
from pacs_sdk.encoding.pixel_data.encapsulated import extended_offset_table, locate_frames
from pacs_sdk.encoding.pixel_data.native import NativePixels, native_frames, native_type
from pacs_sdk.encoding.pixel_data.native_colour import native_colour
from pacs_sdk.encoding.pixel_data.parallel import decode_each
from pacs_sdk.encoding.pixel_data.pixel_element import (
    PIXEL_KEYWORDS,
    PixelElements,
    check_native,
    find_pixel_elements,
)
from pacs_sdk.encoding.pixel_data.pixel_layout import (
    LAYOUT_TAGS,
    FrameOptions,
    PixelLayout,
    layout_of_dataset,
    layout_of_header,
)
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = [
    "DECODER_ERRORS",
    "MAX_DECODED_BYTES",
    "EncodedInstance",
    "frame_decoder",
    "frames_of_dataset",
    "frames_of_instance",
]

MAX_DECODED_BYTES: Final = 1 << 34
"""The largest array that is made, 16 GiB: beyond any single object in practice, and
attributes of a few bytes could otherwise ask for exabytes."""

_ITEM_TAG: Final = b"\xfe\xff\x00\xe0"

DECODER_ERRORS: Final[tuple[type[Exception], ...]] = (
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

_READ_ERRORS: Final[dict[type[Exception], ErrorCode]] = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
} | {
    decoders: ErrorCode.PIXEL_DATA_FAILED
    for decoders in DECODER_ERRORS
    if not issubclass(decoders, OSError)
}


class EncodedInstance(Protocol):
    """What frames can be taken from without decoding the data set: an ``Instance``."""

    @property
    def syntax(self) -> TransferSyntax:
        """The transfer syntax."""

    @property
    def encoded(self) -> ByteSource:
        """The data set's bytes."""

    def header(self, tags: Collection[int]) -> PacsResult[InstanceHeader]:
        """Take attributes out of the encoded data set."""

    def dataset(self) -> PacsResult[DicomDataset]:
        """Decode the data set."""


@edge(_READ_ERRORS)
def frames_of_instance(instance: EncodedInstance, options: FrameOptions) -> np.ndarray:
    """Decode pixels of an instance; of those that aren't wanted no byte is read.

    Args:
        instance: The instance.
        options: Which frames, and how.

    Returns:
        ``Success`` with an array (frames, rows, columns[, samples]) of stored values, or
        ``Failure`` with ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``, ``INVALID_ARGUMENT`` or
        what reading gives.
    """
    syntax = instance.syntax
    if syntax.deflated:
        return raised(frames_of_dataset(raised(instance.dataset()), syntax, options))
    header = raised(instance.header(LAYOUT_TAGS))
    pixels = find_pixel_elements(instance.encoded, header.stop_offset, syntax)
    layout = layout_of_header(header, raw=options.raw)

    def dataset() -> Dataset:
        return raised(instance.dataset()).pydicom

    return _frames(_Image(syntax, layout, pixels, dataset), options)


@edge(dict.fromkeys(DECODER_ERRORS, ErrorCode.PIXEL_DATA_FAILED))
def frames_of_dataset(
    dataset: DicomDataset, syntax: TransferSyntax, options: FrameOptions
) -> np.ndarray:
    """Decode the pixels of a data set.

    Args:
        dataset: The data set; words are in the byte order of ``syntax``.
        syntax: How it was encoded.
        options: Which frames, and how.

    Returns:
        ``Success`` with an array (frames, rows, columns[, samples]) of stored values, or
        ``Failure`` with ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED`` or ``INVALID_ARGUMENT``.
    """
    present = [keyword for keyword in PIXEL_KEYWORDS if keyword in dataset]
    if not present:
        raise pixel_failure("the data set has no Pixel Data")
    layout = layout_of_dataset(dataset, raw=options.raw)
    element = dataset.pydicom[present[0]]
    value = element.value or b""
    # The length alone says nothing: it stays with an element that got another value.
    are_fragments = element.is_undefined_length and value[:4] == _ITEM_TAG
    pixels = PixelElements(
        present[0],
        MemoryBytes(value),
        swapped=element.VR == "OW" and not syntax.little_endian,
        little=syntax.little_endian,
        offsets=dataset.get("ExtendedOffsetTable") or b"",
        lengths=dataset.get("ExtendedOffsetTableLengths") or b"",
        delimited=are_fragments and not syntax.encapsulated,
    )
    return _frames(_Image(syntax, layout, pixels, lambda: dataset.pydicom), options)


@attrs.frozen
class _Image:
    """An image that is to be decoded."""

    syntax: TransferSyntax
    """How it is encoded."""
    layout: PixelLayout
    """What its attributes say."""
    pixels: PixelElements
    """Where its pixels are."""
    dataset: Callable[[], Dataset]
    """Gives the data set, for pydicom."""


def _frames(image: _Image, options: FrameOptions) -> np.ndarray:
    wanted = image.layout.chosen(options.frames)
    frame = image.layout.frame
    bytes_needed = len(wanted) * frame.values * max(frame.bits_allocated, 8) // 8
    if bytes_needed > MAX_DECODED_BYTES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the frames would take {bytes_needed} bytes, the limit is {MAX_DECODED_BYTES}",
            limit=MAX_DECODED_BYTES,
        )
    registry = default_codecs() if options.codecs is None else options.codecs
    if image.syntax.encapsulated and registry.codec_for(image.syntax.uid):
        return _through_codec(image, wanted, options)
    if image.syntax.encapsulated:
        found = _through_pydicom(image, options.raw)
        return _placed(found if options.frames is None else found[list(wanted)], options.out)
    pixels = image.pixels
    check_native(pixels, image.syntax)
    native = NativePixels(pixels.keyword, pixels.value, pixels.swapped, pixels.little)
    if frame.samples == 3 and frame.photometric.startswith("YBR"):
        return _native_ybr(native, image.layout, wanted, options)
    out = options.out
    if out is not None:
        shape = (len(wanted), *frame.shape)
        out = _checked_out(out, shape, native_type(pixels.keyword, frame))
    return native_frames(native, image.layout, wanted, out, cells=options.cells)


def _native_ybr(
    native: NativePixels, layout: PixelLayout, wanted: Sequence[int], options: FrameOptions
) -> np.ndarray:
    """Take native colour apart, and convert it unless it is wanted raw."""
    frame = layout.frame
    read = native_colour(native, layout)
    out = _checked_out(options.out, (len(wanted), *frame.shape), native_type(native.keyword, frame))

    def decode(place: int) -> None:
        out[place] = ybr_to_rgb(read(wanted[place]), frame)

    decode_each(decode, len(wanted), options.threads)
    return out


def _through_codec(image: _Image, wanted: Sequence[int], options: FrameOptions) -> np.ndarray:
    """Decode with a codec of the registry, several frames at once."""
    pixels = image.pixels
    if options.frames is None:
        # All frames are read through one view, a few of them each for itself.
        pixels = attrs.evolve(pixels, value=MemoryBytes(pixels.value.view()))
    # What has lost something has no bits beside its numbers any more.
    cells = options.cells and image.syntax.uid in LOSSLESS_SYNTAXES
    frame = attrs.evolve(image.layout.frame, cells=cells)
    layout = attrs.evolve(image.layout, frame=frame)
    decode_into = frame_decoder(image.syntax, layout, pixels, options.codecs)
    out = _checked_out(options.out, (len(wanted), *frame.shape), frame.dtype)

    def decode(place: int) -> None:
        decode_into(wanted[place], out[place])

    decode_each(decode, len(wanted), options.threads)
    return out


def frame_decoder(
    syntax: TransferSyntax,
    layout: PixelLayout,
    pixels: PixelElements,
    codecs: CodecRegistry | None = None,
) -> Callable[[int, np.ndarray], None]:
    """Make a function that decodes the compressed frame of a number, in any thread.

    It takes the number, and an array of the shape and dtype of ``layout.frame`` to fill.

    Args:
        syntax: How the frames are compressed.
        layout: What they are.
        pixels: Where they are.
        codecs: What decodes them; the default registry where it isn't given.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is no codec, or frames cannot be told
            apart; the function raises it for a frame that cannot be decoded.
        OSError: The source cannot be read.
    """
    registry = default_codecs() if codecs is None else codecs
    codec = registry.codec_for(syntax.uid)
    if codec is None or pixels.keyword != "PixelData":
        raise pixel_failure(f"its {syntax.name} pixels cannot be decoded: there is no codec")
    table = extended_offset_table(pixels.offsets, pixels.lengths, layout.frames)
    located = locate_frames(pixels.value, layout.frames, extended=table, delimited=pixels.delimited)
    lossless = syntax.uid in LOSSLESS_SYNTAXES

    def decode(index: int, out: np.ndarray) -> None:
        frame = located.frame(index)
        try:
            codec.decode_into(frame, layout.frame, out)
        except PacsException as exc:
            raise _undecodable(syntax, exc.error.message, index) from None
        except DECODER_ERRORS as exc:
            raise _undecodable(syntax, str(exc), index) from None
        if not layout.frame.cells:
            conform_numbers(out, layout.frame, lossless=lossless)

    return decode


def _undecodable(syntax: TransferSyntax, reason: str, index: int = 0) -> PacsException:
    words = " ".join(reason.split())  # some run over several lines
    return PacsException(
        ErrorCode.PIXEL_DATA_FAILED,
        f"its {syntax.name} pixels cannot be decoded: {words}",
        frame=index,
    )


def _checked_out(out: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Make the array for the result, or compare the caller's with what is needed.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where the caller's doesn't fit.
    """
    if out is None:
        return np.empty(shape, dtype=dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the frames need a writable array {shape} of {dtype}, "
            f"`out` is {out.shape} of {out.dtype}",
        )
    return out


def _placed(found: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return found
    placed = _checked_out(out, found.shape, found.dtype)
    placed[...] = found
    return placed


def _through_pydicom(image: _Image, raw: bool) -> np.ndarray:
    """Decode compressed frames with whichever of pydicom's decoders is there."""
    try:
        decoder = get_decoder(UID(image.syntax.uid))
        # Fewer fragments than frames are refused before memory for the frames is taken.
        locate_frames(image.pixels.value, image.layout.frames)
        array, _ = decoder.as_array(image.dataset(), raw=raw)
        return array.reshape(image.layout.shape)
    except DECODER_ERRORS as exc:
        raise _undecodable(image.syntax, str(exc)) from None
