"""From one transfer syntax to another (PS3.5 Annex A): pixels, and all that has to follow them."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.codecs.description import EncodeOptions
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.encapsulation import OffsetTable
from pacs_sdk.encoding.pixel_data.pixel_source import READ_ERRORS, open_pixels
from pacs_sdk.encoding.pixel_data.spliced import dataset_around
from pacs_sdk.encoding.transcoding.nested_pixels import decompress_nested
from pacs_sdk.encoding.transcoding.transcode_encapsulated import compressed, recompressed
from pacs_sdk.encoding.transcoding.transcode_job import TranscodeJob
from pacs_sdk.encoding.transcoding.transcode_native import decompressed, native_reencoded
from pacs_sdk.encoding.transfer_syntax import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)

__all__ = ["transcode"]

_NATIVE: Final = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
"""The syntaxes whose Pixel Data is native and inside the data set."""


@edge(READ_ERRORS)
def transcode(  # each but the first two is a keyword with a default
    instance: Instance,
    to: TransferSyntax | str,
    *,
    options: EncodeOptions | None = None,
    threads: int | None = None,
    codecs: CodecRegistry | None = None,
    new_sop_instance_uid: bool | str = True,
    offset_table: OffsetTable = OffsetTable.BASIC,
) -> Instance:
    """Encode an instance in another transfer syntax.

    Elements that need no change keep their values, invalid ones too. Into a lossless syntax
    the pixels are exact: decoded, they are what the source decodes to. Subsampled colour, and
    colour whose conversion is part of decoding (JPEG with a DCT, JPEG 2000), becomes RGB
    first; YBR_FULL and PALETTE COLOR stay. Compressed pixels in sequences (icons) become
    native. Large results lie in a temporary file without a name.

    A lossy compression sets Lossy Image Compression, its ratio and method, makes the image
    DERIVED and says of what, and gives it a new SOP Instance UID (PS3.3 C.7.6.1.1.5).

    Args:
        instance: What is to be encoded. In the syntax wanted already, it comes back itself.
        to: The transfer syntax: a UID, a keyword or a :class:`TransferSyntax`.
        options: How frames are compressed, where the syntax leaves a choice.
        threads: How many frames are worked on at once; as many as there are processors where
            it isn't given.
        codecs: What decodes and encodes; see :func:`default_codecs`.
        new_sop_instance_uid: What a result that has lost something is called: a new UID, this
            text, or, where it is ``False``, as before.
        offset_table: Which table says where compressed frames begin.

    Returns:
        ``Success`` with the instance; or ``Failure`` with ``UNSUPPORTED_TRANSFER_SYNTAX`` where
        no codec decodes the source or encodes ``to``, as with MPEG and HEVC streams;
        ``OPERATION_NOT_SUPPORTED`` where ``to`` cannot hold such an object (no Pixel Data,
        float pixels, bits above Bits Stored that would be lost); ``PIXEL_DATA_FAILED`` for
        damaged pixels, and where there are more frames than Number of Frames says, which would
        be lost (from native to native they stay); ``LIMIT_EXCEEDED``, ``ENCODE_FAILED``,
        ``INVALID_UID``, ``FILE_WRITE_FAILED``, or what reading gives.
    """
    target = to if isinstance(to, TransferSyntax) else known_transfer_syntax(to)
    if target.uid == instance.transfer_syntax_uid:
        return instance
    for syntax in (instance.syntax, target):
        if not syntax.encapsulated and syntax not in _NATIVE:
            raise PacsException(
                ErrorCode.OPERATION_NOT_SUPPORTED,
                f"in {syntax.name} the pixels are not in the data set, so they cannot be "
                "transcoded",
                transfer_syntax=syntax.uid,
            )
    source = open_pixels(instance)
    if source is None:
        return _without_pixels(instance, target)
    dataset = dataset_around(source)
    if source.syntax.encapsulated:
        decompress_nested(dataset, source.syntax, codecs)
    job = TranscodeJob(
        instance,
        source,
        dataset,
        target,
        EncodeOptions() if options is None else options,
        threads,
        codecs,
        new_sop_instance_uid,
        offset_table,
    )
    if target.encapsulated:
        return recompressed(job) or compressed(job)
    encoded = decompressed(job) if source.syntax.encapsulated else native_reencoded(job)
    return attrs.evolve(instance, transfer_syntax_uid=target.uid, encoded=encoded)


def _without_pixels(instance: Instance, target: TransferSyntax) -> Instance:
    if target.encapsulated:
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            f"the object has no Pixel Data, and {target.name} is for objects that have "
            "(PS3.5 A.4); choose a native transfer syntax",
            transfer_syntax=target.uid,
        )
    encoded = raised(encode_dataset(raised(instance.dataset()), target))
    return attrs.evolve(instance, transfer_syntax_uid=target.uid, encoded=MemoryBytes(encoded))
