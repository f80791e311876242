"""Whether two data sets have the same elements, however these are written.

Programs that pass on what others have sent write it anew: without group lengths (retired,
PS3.5 7.2) and Data Set Trailing Padding, sequences with a length or with a delimiter, with
explicit or implicit VRs. None of that is said of the patient.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import Final, TypeAlias

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import Instance, TransferSyntax
from pacs_sdk.encoding.datasets.element_runs import skip_undefined
from pacs_sdk.encoding.datasets.elements import (
    ITEM,
    ITEM_END,
    MAX_NESTING,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Encoded,
    Layout,
    bad_item,
    item_layout,
    layout_of,
    nested_too_deeply,
    plain_bytes,
    read_header,
    truncated,
)

__all__ = ["have_same_elements"]

_TRAILING_PADDING: Final = 0xFFFCFFFC
_PIXEL_DATA: Final = 0x7FE00010
_ITEM_BEGIN: Final = b"\xfe\xff\x00\xe0"
"""The tag of an item, in Little Endian."""

_MODIFICATION_DATE_TIME: Final = 0x04000562

_Element: TypeAlias = tuple[int, int, Encoded]
"""How deep it lies, its tag, its value; of items and sequences an empty one."""

_Elements: TypeAlias = Generator[_Element, None, int]
"""Elements, and where what they are of ends."""


def have_same_elements(first: Instance, second: Instance) -> bool:
    """Compare data sets element by element, up to the first difference.

    Values are compared byte by byte, VRs are not: where one is written without, there is none
    to compare. When a coercion was recorded (PS3.3 C.12.1.1.9) does not count, for else what is
    sent again would be another content each time. In another order of bytes, compressed otherwise, or where one of the two cannot
    be read, they count as different.
    """
    if first.transfer_syntax_uid != second.transfer_syntax_uid and not (
        _is_plain(first.syntax) and _is_plain(second.syntax)
    ):
        return False
    if first.syntax.deflated:
        return False
    pairs = itertools.zip_longest(_elements(first), _elements(second))
    try:
        return all(one == other for one, other in pairs)
    except PacsException:
        return False


def _is_plain(syntax: TransferSyntax) -> bool:
    """Whether values are those of Implicit VR Little Endian."""
    return syntax.little_endian and not syntax.encapsulated and not syntax.deflated


def _elements(instance: Instance) -> _Elements:
    data = plain_bytes(instance.encoded.view())
    return _of_data_set(data, 0, len(data), layout_of(data, instance.syntax), 0)


def _of_data_set(data: Encoded, pos: int, end: int, layout: Layout, depth: int) -> _Elements:
    """Yield the elements of a data set, or of an item that ends with a delimiter."""
    if depth > MAX_NESTING:
        raise nested_too_deeply(pos)
    while pos < end:
        at = pos
        tag, vr, length, start = read_header(data, pos, layout)
        if tag == ITEM_END:
            return start
        if _is_sequence(tag, vr, length, bytes(data[start : start + len(_ITEM_BEGIN)])):
            yield depth, tag, b""
            stop = end if length == UNDEFINED_LENGTH else start + length
            inner = item_layout(data, start, vr, layout)
            pos = yield from _of_items(data, start, min(stop, end), inner, depth)
            continue
        if length == UNDEFINED_LENGTH:
            pos = skip_undefined(data, start, vr, layout)
        else:
            pos = start + length
        if pos > end:
            raise truncated(tag, at, length, end - start)
        if not _is_ignored(tag, depth):
            yield depth, tag, data[start:pos]
    return pos


def _of_items(data: Encoded, pos: int, end: int, layout: Layout, depth: int) -> _Elements:
    """Yield the items of a sequence, each with its elements."""
    while pos < end:
        tag, _, length, start = read_header(data, pos, layout)
        if tag == SEQUENCE_END:
            return start
        if tag != ITEM:
            raise bad_item(tag, pos)
        yield depth, tag, b""
        stop = end if length == UNDEFINED_LENGTH else start + length
        pos = yield from _of_data_set(data, start, min(stop, end), layout, depth + 1)
    return pos


def _is_ignored(tag: int, depth: int) -> bool:
    if tag == _MODIFICATION_DATE_TIME and depth:
        return True
    return not tag & 0xFFFF or tag == _TRAILING_PADDING


def _is_sequence(tag: int, vr: bytes | None, length: int, begin: bytes) -> bool:
    """Tell whether a value has items; of private ones without VR its first bytes tell."""
    if vr == b"SQ":
        return True
    if tag == _PIXEL_DATA:
        return False
    if length == UNDEFINED_LENGTH:
        return True
    return vr in (None, b"UN") and (begin == _ITEM_BEGIN or DicomTag(tag).dictionary_vr == "SQ")
