"""Decoding of data sets (PS3.5 Chapter 7) into pydicom's model.

The bytes are walked here, every length checked; values stay undecoded until they are
looked at (pydicom's ``RawDataElement``). Sequences are built at once, so that damage is
found here and not at some later access.
"""

from __future__ import annotations

import functools
import struct
from typing import Final, NamedTuple, TypeAlias

import attrs
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from typing_extensions import Buffer

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Success, edge
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.charsets import DEFAULT_ENCODINGS, python_encodings
from pacs_sdk.encoding.deflated import inflate
from pacs_sdk.encoding.elements import (
    DELIMITER_GROUP,
    ITEM,
    ITEM_END,
    MAX_NESTING,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Encoded,
    Layout,
    bad_item,
    item_layout,
    layout_of,
    nested_too_deeply,
    plain_bytes,
    read_header,
    skip_undefined,
    truncated,
    truncated_header,
)
from pacs_sdk.encoding.header import SPECIFIC_CHARACTER_SET
from pacs_sdk.encoding.scanner import PIXEL_DATA_GROUP, scan_header
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["MAX_ELEMENTS", "MAX_ITEMS", "decode_dataset"]

MAX_ITEMS: Final = 1 << 20
"""Items in a data set. A segmentation of 12,000 frames has some 200,000; an item takes 8
bytes in a message and a hundred times that in memory."""

MAX_ELEMENTS: Final = 1 << 23
"""Elements in a data set, those of its items included; for the same reason."""

_SEQUENCE_TAGS: Final = frozenset(tag for tag, row in DicomDictionary.items() if row[0] == "SQ")
_US_OR_SS_TAGS: Final = frozenset(
    tag for tag, row in DicomDictionary.items() if row[0] == "US or SS"
)
_PIXEL_REPRESENTATION: Final = 0x00280103

_NAMES: Final = {vr.encode(): str(vr) for vr in VR}
_TEXT_VRS: Final = frozenset(str(vr) for vr in VR if vr.kind is VrKind.TEXT) - {"DS", "IS"}
"""VRs for which pydicom keeps a value of no bytes as ``b""``; for others as ``None``."""

_MAY_BE_UNDEFINED: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"))
"""VRs of values that may have an undefined length (PS3.5 7.1.1), sequences apart. Whatever else
has one is no value of its VR, and text made of it could not be written again."""

_SHORT_NAMES: Final = {vr: name for vr, name in _NAMES.items() if vr in SHORT_VRS}
_CHANGES_CONTEXT: Final = frozenset((SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION))
_NEEDS_THOUGHT: Final = _SEQUENCE_TAGS | _US_OR_SS_TAGS | _CHANGES_CONTEXT
_SHORTEST_HEADER: Final = 8
_FIRST_ITEM_LITTLE: Final = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0")
_FIRST_ITEM_BIG: Final = (b"\xff\xfe\xe0\x00", b"\xff\xfe\xe0\xdd")
"""What a sequence begins with: an Item, or at once its delimitation (PS3.5 7.5)."""


_raw: Final = functools.partial(tuple.__new__, RawDataElement)
"""Builds a named tuple without going through its keyword arguments: half the time."""
_base_tag: Final = functools.lru_cache(maxsize=1 << 14)(BaseTag)

_Found: TypeAlias = dict[BaseTag, DataElement | RawDataElement]


@edge()
def decode_dataset(data: Buffer, syntax: TransferSyntax) -> DicomDataset:
    """Decode a whole data set.

    Args:
        data: The data set, without file meta.
        syntax: How it is encoded.

    Returns:
        ``Success``, or ``Failure`` with ``TRUNCATED``, ``DECODE_FAILED`` or
        ``LIMIT_EXCEEDED`` naming tag and byte offset. What follows Pixel Data and is no
        element is left out.
    """
    encoded: Encoded = inflate(data) if syntax.deflated else plain_bytes(data)
    return DicomDataset(_Reader(encoded, syntax).top_level())


@attrs.frozen
class _Context:
    """What holds for the elements of one data set or item."""

    layout: Layout
    """How element headers are laid out."""
    encodings: tuple[str, ...]
    """Python's names for the Specific Character Set."""
    signed_pixels: bool
    """Whether ``US or SS`` means SS: Pixel Representation is 1 (PS3.3 C.7.6.3.1)."""
    depth: int = 0
    """How many sequences it lies in."""
    delimited: bool = False
    """Whether an Item Delimitation Item ends it."""


class _Reader:
    """Reads one data set and counts what it builds."""

    def __init__(self, data: Encoded, syntax: TransferSyntax) -> None:
        self._data = data
        self._syntax = syntax
        self._items = 0
        self._elements = 0

    def top_level(self) -> Dataset:
        """Read the data set itself."""
        layout = layout_of(self._data, self._syntax)
        signed = not layout.explicit and self._has_signed_pixels()
        context = _Context(layout, DEFAULT_ENCODINGS, signed)
        found: _Found = {}
        try:
            context, _ = self._read_elements(found, 0, len(self._data), context)
        except PacsException as exc:
            has_pixels = any(tag >> 16 == PIXEL_DATA_GROUP for tag in found)
            if exc.error.code is ErrorCode.LIMIT_EXCEEDED or not has_pixels:
                raise
        return _dataset(found, context, DEFAULT_ENCODINGS)

    def _has_signed_pixels(self) -> bool:
        """Look ahead: sequences that depend on Pixel Representation may come before it."""
        syntax = attrs.evolve(self._syntax, deflated=False)
        match scan_header(self._data, syntax, (_PIXEL_REPRESENTATION,)):
            case Success(header):
                return bool(header.integer(_PIXEL_REPRESENTATION) == 1)
        return False

    def _read_elements(
        self, found: _Found, pos: int, end: int, context: _Context
    ) -> tuple[_Context, int]:
        """Read elements up to ``end``, or to an Item Delimitation Item before it.

        Returns the context, changed by the character set that was found, and the offset
        after what was read.
        """
        data = self._data
        layout = context.layout
        read_plain = self._read_plain_explicit if layout.explicit else self._read_plain_implicit
        while True:
            pos = read_plain(found, pos, end, layout)
            if end - pos < _SHORTEST_HEADER and not any(data[pos:end]):
                break
            tag, vr, length, start = read_header(data, pos, layout)
            if tag >> 16 == DELIMITER_GROUP:
                if tag == ITEM_END and context.depth:
                    return context, start
                if length:
                    raise bad_item(tag, pos)
                pos = start  # ends an item that never began; some writers leave such behind
                continue
            if length != UNDEFINED_LENGTH and length > end - start:
                raise truncated(tag, pos, length, end - start)
            self._count_elements(1, pos)
            header = _Header(_base_tag(tag), vr, length, start)
            if self._is_sequence(header, layout):
                element, pos = self._sequence_element(header, context)
                found[header.tag] = element
            else:
                raw, pos = self._raw_element(header, context)
                found[header.tag] = raw
                context = _changed_by(raw, context)
        if context.delimited:
            raise truncated_header(len(data), pos)
        return context, pos

    def _read_plain_explicit(self, found: _Found, pos: int, end: int, layout: Layout) -> int:
        """Read elements while they have a VR with a 16-bit length, as most have.

        Nine of ten elements pass here, so nothing is called but what builds them. Returns
        where the first of another kind begins.
        """
        data, unpack, names, base_tag = self._data, layout.unpack_explicit, _SHORT_NAMES, _base_tag
        little, last = layout.little, end - _SHORTEST_HEADER
        count = 0
        while pos <= last:
            group, number, vr, length = unpack(data, pos)
            name = names.get(vr)
            tag = group << 16 | number
            if name is None or tag in _CHANGES_CONTEXT:
                break
            start = pos + 8
            pos = start + length
            if pos > end:
                raise truncated(tag, start - 8, length, end - start)
            value = bytes(data[start:pos]) if length or name in _TEXT_VRS else None
            key = base_tag(tag)
            found[key] = _raw((key, name, length, value, start, False, little, True, False))
            count += 1
        self._count_elements(count, pos)
        return pos

    def _read_plain_implicit(self, found: _Found, pos: int, end: int, layout: Layout) -> int:
        """Read elements of implicit VR while they need no thought; as for explicit VR."""
        data, unpack, base_tag = self._data, layout.unpack_implicit, _base_tag
        little, last = layout.little, end - _SHORTEST_HEADER
        count = 0
        while pos <= last:
            group, number, length = unpack(data, pos)
            tag = group << 16 | number
            if length == UNDEFINED_LENGTH or tag in _NEEDS_THOUGHT or group == DELIMITER_GROUP:
                break
            start = pos + 8
            pos = start + length
            if pos > end:
                raise truncated(tag, start - 8, length, end - start)
            value = bytes(data[start:pos]) if length else None
            key = base_tag(tag)
            found[key] = _raw((key, None, length, value, start, True, little, True, False))
            count += 1
        self._count_elements(count, pos)
        return pos

    def _count_elements(self, count: int, pos: int) -> None:
        self._elements += count
        if self._elements > MAX_ELEMENTS:
            raise _too_many("elements", MAX_ELEMENTS, pos)

    def _is_sequence(self, header: _Header, layout: Layout) -> bool:
        """Whether the value consists of items that are data sets."""
        undefined = header.length == UNDEFINED_LENGTH
        match header.vr:
            case b"SQ":
                return True
            case b"UN":
                return undefined  # PS3.5 6.2.2: always a sequence
            case None if header.tag in _SEQUENCE_TAGS:
                return True
            case None if undefined and header.tag not in DicomDictionary:
                first = bytes(self._data[header.start : header.start + 4])
                return first in (_FIRST_ITEM_LITTLE if layout.little else _FIRST_ITEM_BIG)
        return False

    def _raw_element(self, header: _Header, context: _Context) -> tuple[RawDataElement, int]:
        tag, vr, length, start = header
        layout = context.layout
        if length == UNDEFINED_LENGTH:
            after = skip_undefined(self._data, start, vr, layout, context.depth + 1)
            end = after - 8  # without the Sequence Delimitation Item, as pydicom has it
        else:
            after = end = start + length
        name: str | None = None
        if length == UNDEFINED_LENGTH and _vr_of(tag, vr) not in _MAY_BE_UNDEFINED:
            name = "OB"  # of UN pydicom would make the VR that the dictionary knows
        elif vr is not None:
            # A VR that PS3.5 doesn't know says nothing about the value, as UN does.
            name = _NAMES.get(vr, "UN")
        elif tag in _US_OR_SS_TAGS:
            name = "SS" if context.signed_pixels else "US"
        value = bytes(self._data[start:end])
        raw = RawDataElement(
            tag,
            name,
            length,
            # pydicom takes no value and a length for one that it has to fetch from a file.
            value if value or length or name in _TEXT_VRS else None,
            start,
            not layout.explicit,
            layout.little,
        )
        return raw, after

    def _sequence_element(self, header: _Header, context: _Context) -> tuple[DataElement, int]:
        tag, vr, length, start = header
        if context.depth >= MAX_NESTING:
            raise nested_too_deeply(start)
        undefined = length == UNDEFINED_LENGTH
        inner = attrs.evolve(
            context,
            layout=item_layout(self._data, start, vr, context.layout),
            depth=context.depth + 1,
        )
        end = len(self._data) if undefined else start + length
        items, after = self._read_items(start, end, undefined, inner)
        sequence = Sequence(items)
        sequence.is_undefined_length = undefined
        element = DataElement(tag, "SQ", sequence, start, undefined, already_converted=True)
        return element, after

    def _read_items(
        self, pos: int, end: int, undefined: bool, context: _Context
    ) -> tuple[list[Dataset], int]:
        """Read items up to ``end`` or, of undefined length, the Sequence Delimitation Item."""
        items: list[Dataset] = []
        while undefined or end - pos >= 8 or any(self._data[pos:end]):
            try:
                group, element, length = context.layout.unpack_implicit(self._data, pos)
            except struct.error:
                raise truncated_header(len(self._data), pos) from None
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                return items, pos + 8 if undefined else end
            if tag != ITEM:
                raise bad_item(tag, pos)
            self._items += 1
            if self._items > MAX_ITEMS:
                raise _too_many("items", MAX_ITEMS, pos)
            item, pos = self._read_item(pos, length, end, context)
            items.append(item)
        return items, end

    def _read_item(self, at: int, length: int, end: int, context: _Context) -> tuple[Dataset, int]:
        start = at + 8
        delimited = length == UNDEFINED_LENGTH
        if not delimited and length > end - start:
            raise truncated(ITEM, at, length, end - start)
        found: _Found = {}
        inner = attrs.evolve(context, delimited=delimited)
        item_end = end if delimited else start + length
        changed, after = self._read_elements(found, start, item_end, inner)
        item = _dataset(found, changed, context.encodings)
        item.is_undefined_length_sequence_item = delimited
        return item, after if delimited else item_end


class _Header(NamedTuple):
    """One element header."""

    tag: BaseTag
    vr: bytes | None
    length: int
    start: int


def _vr_of(tag: BaseTag, vr: bytes | None) -> str:
    """Return the VR that is written, or the dictionary's."""
    if vr is not None:
        return _NAMES.get(vr, "UN")
    return str(DicomDictionary[tag][0]) if tag in DicomDictionary else "UN"


def _changed_by(raw: RawDataElement, context: _Context) -> _Context:
    """Return the context for the elements that follow this one."""
    if raw.tag == SPECIFIC_CHARACTER_SET:
        return attrs.evolve(context, encodings=python_encodings(raw.value or b""))
    if raw.tag == _PIXEL_REPRESENTATION:
        return attrs.evolve(context, signed_pixels=b"\1" in (raw.value or b""))
    return context


def _dataset(found: _Found, context: _Context, inherited: tuple[str, ...]) -> Dataset:
    """Build pydicom's data set, which decodes text by the encodings it is told here."""
    dataset = Dataset(found, parent_encoding=list(inherited))
    layout = context.layout
    dataset.set_original_encoding(not layout.explicit, layout.little, list(context.encodings))
    return dataset


def _too_many(what: str, limit: int, offset: int) -> PacsException:
    return PacsException(
        ErrorCode.LIMIT_EXCEEDED,
        f"the data set has more than {limit} {what}, at byte {offset}",
        limit=limit,
        offset=offset,
    )
