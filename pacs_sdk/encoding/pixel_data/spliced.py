"""A data set without its pixels, decoded, changed and encoded; pixels are put in between.

So Pixel Data never goes through the model, however large it is, and what stands around it
is written as any data set is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.byte_spool import ByteSpool
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, CharacterSetPolicy
from pacs_sdk.encoding.datasets.deflated import deflated_pieces
from pacs_sdk.encoding.datasets.reader import decode_dataset
from pacs_sdk.encoding.datasets.writer import encoded_parts
from pacs_sdk.encoding.pixel_data.pixel_source import PixelSource
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["Surroundings", "dataset_around", "encoded_around", "native_header", "spooled"]

_BEFORE_PIXELS: Final = range(0x7FE00000)
_AFTER_PIXELS: Final = range(0x7FE10000, 1 << 32)
_ELEMENTS: Final = {"PixelData": 0x0010, "FloatPixelData": 0x0008, "DoubleFloatPixelData": 0x0009}

_MAX_NATIVE_BYTES: Final = 0xFFFFFFFE
"""The longest native value: its length has 32 bits (PS3.5 7.1.2)."""


@attrs.frozen
class Surroundings:
    """An encoded data set without its pixels."""

    before: bytes
    """The elements before group 7FE0."""
    after: bytes
    """The elements after it."""


def dataset_around(
    source: PixelSource, policy: CharacterSetPolicy = DEFAULT_POLICY
) -> DicomDataset:
    """Decode everything but group 7FE0.

    Args:
        source: The data set taken apart.
        policy: How text is decoded where Specific Character Set is absent or wrong.

    Raises:
        PacsException: What decoding raises.
    """
    plain = attrs.evolve(source.syntax, deflated=False)
    before, after = source.encoded.slice(0, source.begin), source.encoded.slice(source.end)
    joined = b"".join((before.view(), after.view()))
    return raised(decode_dataset(joined, plain, policy=policy))


def encoded_around(dataset: DicomDataset, syntax: TransferSyntax) -> Surroundings:
    """Encode everything but group 7FE0, not yet deflated.

    Raises:
        PacsException: ``ENCODE_FAILED`` or ``LIMIT_EXCEEDED``.
    """
    before, after = encoded_parts(dataset.pydicom, syntax, _BEFORE_PIXELS, _AFTER_PIXELS)
    return Surroundings(b"".join(before), b"".join(after))


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
    for piece in deflated_pieces(pieces) if deflated else pieces:
        spool.write(piece)
    return spool.finish()
