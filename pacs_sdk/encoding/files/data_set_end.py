"""How data sets in files end: whether they are whole, and what their Pixel Data is."""

from __future__ import annotations

from pacs_sdk.core.byte_source import ByteSource, random_access
from pacs_sdk.encoding.datasets.deflated import check_inflates
from pacs_sdk.encoding.datasets.elements import (
    EXPLICIT_LITTLE,
    ITEM,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Encoded,
    bad_item,
    layout_of,
    read_header,
    truncated,
    truncated_header,
)
from pacs_sdk.encoding.datasets.scanner import PIXEL_DATA_GROUP, is_complete, scanned
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["check_complete", "pixels_are_compressed"]


def check_complete(encoded: ByteSource, head: Encoded, syntax: TransferSyntax) -> None:
    """Raise ``TRUNCATED`` if the data set doesn't reach its end; only headers are looked at."""
    if syntax.deflated:
        check_inflates(encoded.view())  # the stream has an end of its own
    elif not is_complete(head, encoded.size, syntax):
        # Of a large file only the pages of the header are touched.
        is_complete(
            encoded.view(), encoded.size, syntax, lambda start: _fragments_end(encoded, start)
        )


def _fragments_end(encoded: ByteSource, pos: int) -> int:
    """Walk the items of encapsulated Pixel Data (PS3.5 A.4), reading their headers only."""
    with random_access(encoded) as read:
        while True:
            header = read(pos, 8)
            if len(header) < 8:
                raise truncated_header(encoded.size, pos)
            group, element, length = EXPLICIT_LITTLE.unpack_implicit(header, 0)
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                return pos + 8
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise bad_item(tag, pos)
            if length > encoded.size - pos - 8:
                raise truncated(tag, pos, length, encoded.size - pos - 8)
            pos += 8 + length


def pixels_are_compressed(encoded: ByteSource, syntax: TransferSyntax) -> bool:
    """Whether Pixel Data is encapsulated, as its header says (PS3.5 A.4)."""
    view = encoded.view()
    stop = scanned(view, syntax, ()).stop_offset
    layout = layout_of(view, syntax)
    if stop >= len(view):
        return False
    tag, _, length, _ = read_header(view, stop, layout)
    return tag >> 16 == PIXEL_DATA_GROUP and length == UNDEFINED_LENGTH
