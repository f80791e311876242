"""The layout of data elements in bytes (PS3.5 7.1), shared by scanner and reader.

Nothing here trusts a length: each is compared with what remains before it is used, and
the nesting of sequences is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = [
    "DELIMITER_GROUP",
    "EXPLICIT_BIG",
    "EXPLICIT_LITTLE",
    "IMPLICIT_BIG",
    "IMPLICIT_LITTLE",
    "ITEM",
    "ITEM_END",
    "LONG_VRS",
    "MAX_NESTING",
    "SEQUENCE_END",
    "SHORT_VRS",
    "UNDEFINED_LENGTH",
    "Encoded",
    "Layout",
    "bad_item",
    "item_layout",
    "layout_of",
    "nested_too_deeply",
    "plain_bytes",
    "read_header",
    "truncated",
    "truncated_header",
]

Encoded: TypeAlias = bytes | memoryview
"""Encoded bytes that can be sliced and unpacked from."""

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
"""The value runs to a delimitation item (PS3.5 7.1.1)."""

DELIMITER_GROUP: Final = 0xFFFE
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD

MAX_NESTING: Final = 64
"""How deep sequences may lie in one another. Structured reports reach about a dozen levels;
a hostile file could nest until the interpreter's stack ends."""

_WORTH_A_COPY: Final = 64 * 1024
"""Bytes that are copied in a microsecond or two."""

SHORT_VRS: Final = frozenset(vr.encode() for vr in VR if not vr.has_long_length)
LONG_VRS: Final = frozenset(vr.encode() for vr in VR if vr.has_long_length)


@attrs.frozen(eq=False)
class Layout:
    """How element headers are laid out."""

    explicit: bool
    """Whether a header carries its VR."""
    little: bool
    """Whether numbers have the least significant byte first."""
    unpack_implicit: Callable[[Any, int], tuple[int, int, int]] = attrs.field(init=False)
    """Group, element, 32-bit length: an implicit header, or that of an item."""
    unpack_explicit: Callable[[Any, int], tuple[int, int, bytes, int]] = attrs.field(init=False)
    """Group, element, VR, 16-bit length."""
    unpack_length: Callable[[Any, int], tuple[int]] = attrs.field(init=False)
    """The 32-bit length of an explicit header with a long VR."""

    def __attrs_post_init__(self) -> None:
        order = "<" if self.little else ">"
        formats = {
            "unpack_implicit": f"{order}HHI",
            "unpack_explicit": f"{order}HH2sH",
            "unpack_length": f"{order}I",
        }
        for name, form in formats.items():
            object.__setattr__(self, name, struct.Struct(form).unpack_from)


IMPLICIT_LITTLE: Final = Layout(explicit=False, little=True)
IMPLICIT_BIG: Final = Layout(explicit=False, little=False)
EXPLICIT_LITTLE: Final = Layout(explicit=True, little=True)
EXPLICIT_BIG: Final = Layout(explicit=True, little=False)


def plain_bytes(data: Buffer) -> Encoded:
    """Return the buffer as ``bytes`` where that costs little, else as a view of bytes.

    Values are cut out of ``bytes`` twice as fast as out of a view, so a small buffer is
    worth its copy.
    """
    if isinstance(data, bytes):
        return data
    view = data if isinstance(data, memoryview) else memoryview(data)
    whole = view.obj
    if type(whole) is bytes and len(whole) == view.nbytes and view.c_contiguous:
        return whole
    return bytes(view) if view.nbytes <= _WORTH_A_COPY else view.cast("B")


def layout_of(data: Encoded, syntax: TransferSyntax) -> Layout:
    """Choose the layout a data set really has, by its first element.

    Some writers name one of Implicit and Explicit VR and write the other. Explicit
    headers have two capital letters after the tag; read as an implicit length they
    would mean 16 KiB or more in the first element.
    """
    letters = bytes(data[4:6])
    explicit = syntax.explicit_vr
    if len(letters) == 2:
        if not explicit:
            explicit = letters in SHORT_VRS or letters in LONG_VRS
        elif not _are_capitals(letters):
            explicit = False
    if syntax.little_endian:
        return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE
    return EXPLICIT_BIG if explicit else IMPLICIT_BIG


def item_layout(data: Encoded, pos: int, vr: bytes | None, outer: Layout) -> Layout:
    """Choose the layout of the items of a value of undefined length that begins here.

    PS3.5 6.2.2: a sequence under VR UN is Implicit VR Little Endian whatever the data
    set is. Some writers keep their own layout, so the first bytes decide.
    """
    if vr != b"UN":
        return outer
    little = data[pos : pos + 2] != b"\xff\xfe"
    first_element_vr = bytes(data[pos + 12 : pos + 14])
    explicit = first_element_vr in SHORT_VRS or first_element_vr in LONG_VRS
    if little:
        return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE
    return EXPLICIT_BIG if explicit else IMPLICIT_BIG


def _are_capitals(vr: bytes) -> bool:
    return b"A" <= vr[:1] <= b"Z" and b"A" <= vr[1:] <= b"Z"


def read_header(data: Encoded, pos: int, layout: Layout) -> tuple[int, bytes | None, int, int]:
    """Read one element header.

    Args:
        data: The data set.
        pos: Where the header begins.
        layout: How headers are laid out here.

    Returns:
        Tag, VR (``None`` where none is written), length, and where the value begins.

    Raises:
        PacsException: ``TRUNCATED`` inside the header.
    """
    try:
        if not layout.explicit:
            group, element, length = layout.unpack_implicit(data, pos)
            return group << 16 | element, None, length, pos + 8
        group, element, vr, length = layout.unpack_explicit(data, pos)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr, length, pos + 8
        if vr in LONG_VRS:
            return tag, vr, layout.unpack_length(data, pos + 8)[0], pos + 12
        if group == DELIMITER_GROUP or not _are_capitals(vr):
            # Items have no VR (PS3.5 7.5); and some writers leave single elements implicit.
            return tag, None, layout.unpack_implicit(data, pos)[2], pos + 8
        return tag, vr, *_unknown_vr_length(data, pos, length, layout)
    except struct.error:
        raise truncated_header(len(data), pos) from None


def _unknown_vr_length(data: Encoded, pos: int, short: int, layout: Layout) -> tuple[int, int]:
    """Length and value offset of an element whose VR we don't know.

    PS3.5 7.1.2 gives VRs yet to come the long form, reserved bytes zero; misspelt VRs of
    old writers have the short form. The long form is taken where it fits.
    """
    if short == 0 and len(data) >= pos + 12:
        (long,) = layout.unpack_length(data, pos + 8)
        if long <= len(data) - pos - 12:
            return long, pos + 12
    return short, pos + 8


# -- errors with words ---------------------------------------------------------------


def _named(tag: int) -> str:
    number = DicomTag(tag)
    return f"{number} {number.keyword}".rstrip()


def truncated(tag: int, offset: int, announced: int, remaining: int) -> PacsException:
    """Describe an element whose value is longer than what remains."""
    return PacsException(
        ErrorCode.TRUNCATED,
        f"the data set ends inside {_named(tag)} at byte {offset}: "
        f"{announced} bytes are announced, {max(remaining, 0)} remain",
        tag=str(DicomTag(tag)),
        offset=offset,
    )


def truncated_header(size: int, offset: int) -> PacsException:
    """Describe data that end where an element header is due."""
    return PacsException(
        ErrorCode.TRUNCATED,
        f"the data set ends at byte {size}, inside or before the element header "
        f"expected at byte {offset}",
        offset=offset,
    )


def bad_item(tag: int, offset: int) -> PacsException:
    """Describe something else where an item of a sequence is due (PS3.5 7.5)."""
    return PacsException(
        ErrorCode.DECODE_FAILED,
        f"expected an item of a sequence at byte {offset}, found {_named(tag)}",
        tag=str(DicomTag(tag)),
        offset=offset,
    )


def nested_too_deeply(offset: int) -> PacsException:
    """Describe sequences nested beyond :data:`MAX_NESTING`."""
    return PacsException(
        ErrorCode.LIMIT_EXCEEDED,
        f"sequences are nested more than {MAX_NESTING} deep at byte {offset}",
        offset=offset,
    )
