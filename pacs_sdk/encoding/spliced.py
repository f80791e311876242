"""A data set without its pixels, decoded, changed and encoded; pixels are put in between.

So Pixel Data never goes through the model, however large it is, and what stands around it
is written as any data set is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import attrs
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.byte_spool import ByteSpool
from pacs_sdk.encoding.elements import layout_of, read_header
from pacs_sdk.encoding.pixel_source import PixelSource
from pacs_sdk.encoding.reader import decode_dataset
from pacs_sdk.encoding.scanner import scanned
from pacs_sdk.encoding.transfer_syntax import TransferSyntax
from pacs_sdk.encoding.writer import encode_dataset

__all__ = ["Surroundings", "dataset_around", "encoded_around", "native_header", "spooled"]

_PIXEL_DATA: Final = 0x7FE00010
_ELEMENTS: Final = {"PixelData": 0x0010, "FloatPixelData": 0x0008, "DoubleFloatPixelData": 0x0009}

_MAX_NATIVE_BYTES: Final = 0xFFFFFFFE
"""The longest native value: its length has 32 bits (PS3.5 7.1.2)."""


@attrs.frozen
class Surroundings:
    """An encoded data set without its pixels."""

    before: memoryview
    """The elements before group 7FE0."""
    after: memoryview
    """The elements after Pixel Data."""


def dataset_around(source: PixelSource) -> DicomDataset:
    """Decode everything but group 7FE0; an empty Pixel Data marks its place.

    Raises:
        PacsException: What decoding raises.
    """
    plain = attrs.evolve(source.syntax, deflated=False)
    order = "<" if source.layout.little else ">"
    if source.layout.explicit:
        marker = struct.pack(f"{order}HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0)
    else:
        marker = struct.pack(f"{order}HHI", 0x7FE0, 0x0010, 0)
    whole = b"".join(
        (
            source.encoded.slice(0, source.begin).view(),
            marker,
            source.encoded.slice(source.end).view(),
        )
    )
    dataset = raised(decode_dataset(whole, plain))
    # Its VR is settled here: the writer would ask attributes that may be missing.
    dataset.pydicom[_PIXEL_DATA] = DataElement(BaseTag(_PIXEL_DATA), "OB", b"")
    return dataset


def encoded_around(dataset: DicomDataset, syntax: TransferSyntax) -> Surroundings:
    """Encode what :func:`dataset_around` gave, in another transfer syntax, not yet deflated.

    Raises:
        PacsException: ``ENCODE_FAILED``.
    """
    plain = attrs.evolve(syntax, deflated=False)
    encoded = raised(encode_dataset(dataset, plain))
    place = scanned(encoded, plain, (_PIXEL_DATA,)).stop_offset
    tag, _, length, start = read_header(encoded, place, layout_of(encoded, plain))
    if (tag, length) != (_PIXEL_DATA, 0):
        raise PacsException(
            ErrorCode.ENCODE_FAILED, f"tag {tag:08X} is where Pixel Data should be", offset=place
        )
    view = memoryview(encoded)
    return Surroundings(view[:place], view[start:])


def native_header(syntax: TransferSyntax, keyword: str, vr: str, length: int) -> bytes:
    """Lay out the element header of native pixels (PS3.5 7.1).

    Args:
        syntax: A native transfer syntax.
        keyword: Which element it is: PixelData or one of its float twins.
        vr: OB, OW, OF or OD.
        length: How many bytes the value has, padding included.

    Raises:
        PacsException: ``LIMIT_EXCEEDED`` where the value is longer than a length can say.
    """
    if length > _MAX_NATIVE_BYTES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"native pixels of {length} bytes are longer than an element can be "
            f"({_MAX_NATIVE_BYTES}); only encapsulated Pixel Data can hold them",
            limit=_MAX_NATIVE_BYTES,
        )
    order = "<" if syntax.little_endian else ">"
    element = _ELEMENTS[keyword]
    if syntax.explicit_vr:
        return struct.pack(f"{order}HH2sHI", 0x7FE0, element, vr.encode(), 0, length)
    return struct.pack(f"{order}HHI", 0x7FE0, element, length)


def spooled(pieces: Iterable[Buffer], *, deflated: bool) -> ByteSource:
    """Collect the pieces of a data set, deflated on the way if it has to be (PS3.5 A.5).

    Raises:
        PacsException: ``FILE_WRITE_FAILED`` where a temporary file cannot be written.
    """
    spool = ByteSpool()
    for piece in _deflated(pieces) if deflated else pieces:
        spool.write(piece)
    return spool.finish()


def _deflated(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = 0
    for piece in pieces:
        made = stream.compress(piece)
        length += len(made)
        if made:
            yield made
    last = stream.flush()
    yield last + b"\0" * ((length + len(last)) % 2)
