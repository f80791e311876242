"""Walking the elements of encoded data sets (PS3.5 7.1, 7.5), every length checked.

Elements become pydicom's raw elements, a tuple each. Of a sequence the structure is
checked to its last item, so that damage is found here and not at some later access, but
nothing is built: most readers look at few sequences or none, and a data set for each item
takes longer than all the rest (benchmark ``read_dataset``).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.datasets.element_runs import element_run_skipper, skip_undefined
from pacs_sdk.encoding.datasets.elements import (
    DELIMITER_GROUP,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
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
    nested_too_deeply,
    read_header,
    truncated,
    truncated_header,
)

__all__ = [
    "MAX_ELEMENTS",
    "MAX_ITEMS",
    "MAX_SEQUENCE_ELEMENTS",
    "ElementReader",
    "Found",
    "Header",
]

MAX_ITEMS: Final = 1 << 20
"""Items in a data set. A segmentation of 12,000 frames has some 200,000; an item takes 8
bytes in a message and a hundred times that in memory."""

MAX_ELEMENTS: Final = 1 << 19
"""Elements of a data set, those in its sequences apart. The dictionary has 5,000; half a million
private ones are unknown. An element takes 8 bytes in a message, and 300 in memory."""

MAX_SEQUENCE_ELEMENTS: Final = 1 << 23
"""Elements in the items of one sequence, which are built when it is looked at: a whole-slide
image of half a million frames has some millions."""

_SEQUENCE_TAGS: Final = frozenset(tag for tag, row in DicomDictionary.items() if row[0] == "SQ")
_NAMES: Final = {vr.encode(): str(vr) for vr in VR}
_TEXT_VRS: Final = frozenset(str(vr) for vr in VR if vr.kind is VrKind.TEXT) - {"DS", "IS"}
"""VRs for which pydicom keeps a value of no bytes as ``b""``; for others as ``None``."""

_MAY_BE_UNDEFINED: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"))
"""VRs of values that may have an undefined length (PS3.5 7.1.1), sequences apart. Whatever else
has one is no value of its VR, and text made of it could not be written again."""
_SHORTEST_HEADER: Final = 8
_FIRST_ITEM_LITTLE: Final = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0")
_FIRST_ITEM_BIG: Final = (b"\xff\xfe\xe0\x00", b"\xff\xfe\xe0\xdd")
"""What a sequence begins with: an Item, or at once its delimitation (PS3.5 7.5)."""
_NO_TAG: Final = 1 << 32
"""Greater than any tag."""


_raw: Final = functools.partial(tuple.__new__, RawDataElement)
"""Builds a named tuple without going through its keyword arguments: half the time."""
_base_tag: Final = functools.lru_cache(maxsize=1 << 14)(BaseTag)
_REMEMBERED_TAGS: Final = 1 << 14
"""More than the dictionary has; private tags could go on forever."""

Found: TypeAlias = dict[BaseTag, DataElement | RawDataElement]
"""What a pydicom data set is made of."""


def _vr_of(tag: int, vr: bytes | None) -> str:
    """Return the VR that is written, or the dictionary's."""
    if vr is not None:
        return _NAMES.get(vr, "UN")
    return str(DicomDictionary[tag][0]) if tag in DicomDictionary else "UN"


class _Tags(dict[int, BaseTag]):
    """pydicom's tags by the number that the four bytes of a tag make when read as one."""

    def __init__(self, little: bool) -> None:
        super().__init__()
        self._little = little

    def __missing__(self, key: int) -> BaseTag:
        """Make a tag and remember it, as long as there are not too many.

        Raises:
            KeyError: The tag is that of an item or of the end of one, whose length field can
                look like a VR when it is damaged.
        """
        made = BaseTag((key & 0xFFFF) << 16 | key >> 16 if self._little else key)
        if made >> 16 == DELIMITER_GROUP:
            raise KeyError(key)
        if len(self) >= _REMEMBERED_TAGS:
            self.clear()
        self[key] = made
        return made


class _Plain:
    """What the loops over plain elements need of a layout."""

    def __init__(self, layout: Layout) -> None:
        order = "<" if layout.little else ">"
        self.unpack_explicit = struct.Struct(f"{order}IHH").unpack_from
        """Tag, VR and 16-bit length."""
        self.unpack_implicit = struct.Struct(f"{order}II").unpack_from
        """Tag and 32-bit length."""
        self.names = {struct.unpack(f"{order}H", vr)[0]: str(VR(vr.decode())) for vr in SHORT_VRS}
        """VRs with a 16-bit length by the number that their letters make."""
        self.tags = _Tags(layout.little)


_PLAIN: Final = {
    layout: _Plain(layout)
    for layout in (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE, IMPLICIT_BIG)
}


class Header(NamedTuple):
    """One element header."""

    tag: int
    """Group and element."""
    vr: bytes | None
    """The VR as written, ``None`` where none is."""
    length: int
    """The length field."""
    start: int
    """Where the value begins."""


class ElementReader:
    """Reads the elements of one data set or item, and counts what lies in it.

    Args:
        data: The encoded bytes.
        most_items: How many items there may be.
        most_elements: How many elements; those of items are built, and counted, later.
        checked: Whether the structure of what lies in sequences was checked before.
    """

    def __init__(
        self,
        data: Encoded,
        most_items: int = MAX_ITEMS,
        most_elements: int = MAX_SEQUENCE_ELEMENTS,
        *,
        checked: bool = False,
    ) -> None:
        self._data = data
        self._checked = checked
        self.foreign: list[BaseTag] = []
        """Sequences whose items are laid out in another way than what they lie in (PS3.5 6.2.2,
        UN): pydicom's writer would repeat their bytes as if they were laid out alike."""
        self._items_left = most_items
        self._elements_left = most_elements
        self._limits: Mapping[str, int] = {"items": most_items, "elements": most_elements}

    def read(
        self,
        found: Found,
        pos: int,
        end: int,
        layout: Layout,
        depth: int = 0,
        *,
        delimited: bool = False,
        until: int = _NO_TAG,
    ) -> int:
        """Read elements up to ``end``, or to an Item Delimitation Item before it.

        Args:
            found: Where to put them.
            pos: Where the first begins.
            end: Where the data set ends at the latest.
            layout: How headers are laid out.
            depth: How many sequences it lies in.
            delimited: Whether an Item Delimitation Item has to end it.
            until: The first tag that is not wanted any more.

        Returns:
            The offset after what was read; that of the header of ``until`` or of the first
            tag after it.

        Raises:
            PacsException: ``TRUNCATED``, ``DECODE_FAILED`` or ``LIMIT_EXCEEDED``.
        """
        data = self._data
        read_plain = self._read_plain_explicit if layout.explicit else self._read_plain_implicit
        while True:
            pos = read_plain(found, pos, end, layout, until)
            if end - pos < _SHORTEST_HEADER and not any(data[pos:end]):
                break
            header = Header(*read_header(data, pos, layout))
            if header.tag >> 16 == DELIMITER_GROUP:
                if header.tag == ITEM_END and depth:
                    return header.start
                if header.length:
                    raise bad_item(header.tag, pos)
                pos = header.start  # ends an item that never began; some writers leave such
                continue
            if header.tag >= until:
                return pos
            self._count_elements(1, pos)
            found[_base_tag(header.tag)], pos = self._element(header, pos, end, layout, depth)
        if delimited:
            raise truncated_header(len(data), pos)
        return pos

    def _read_plain_explicit(
        self, found: Found, pos: int, end: int, layout: Layout, until: int
    ) -> int:
        """Read elements while they have a VR with a 16-bit length, as most have.

        Nine of ten elements pass here, so nothing is called but what builds them. Returns
        where the first of another kind begins.
        """
        data, plain = self._data, _PLAIN[layout]
        unpack, names, tags, little = plain.unpack_explicit, plain.names, plain.tags, layout.little
        copied, partly, last = type(data) is not bytes, until != _NO_TAG, end - _SHORTEST_HEADER
        raw, kind, count = tuple.__new__, RawDataElement, 0
        for count in range(self._elements_left + 2):  # noqa: B007  # read after the loop
            if pos > last:
                break
            key, code, length = unpack(data, pos)
            try:
                name, tag = names[code], tags[key]
            except KeyError:
                break
            if partly and int(tag) >= until:
                break
            start = pos + 8
            pos = start + length
            if pos > end:
                raise truncated(tag, start - 8, length, end - start)
            value: Encoded | None = data[start:pos]
            if copied:
                value = bytes(value)  # type: ignore[arg-type]  # not None yet
            if not length and name not in _TEXT_VRS:
                value = None
            found[tag] = raw(kind, (tag, name, length, value, start, False, little, True, False))
        self._count_elements(count, pos)
        return pos

    def _read_plain_implicit(
        self, found: Found, pos: int, end: int, layout: Layout, until: int
    ) -> int:
        """Read elements of implicit VR while they need no thought; as for explicit VR."""
        data, plain, sequences = self._data, _PLAIN[layout], _SEQUENCE_TAGS
        unpack, tags, little = plain.unpack_implicit, plain.tags, layout.little
        raw, kind, count, last = tuple.__new__, RawDataElement, 0, end - _SHORTEST_HEADER
        for count in range(self._elements_left + 2):  # noqa: B007  # the same
            if pos > last:
                break
            key, length = unpack(data, pos)
            try:
                tag = tags[key]
            except KeyError:
                break
            if tag in sequences or length == UNDEFINED_LENGTH or int(tag) >= until:
                break
            start = pos + 8
            pos = start + length
            if pos > end:
                raise truncated(tag, start - 8, length, end - start)
            value = bytes(data[start:pos]) if length else None
            found[tag] = raw(kind, (tag, None, length, value, start, True, little, True, False))
        self._count_elements(count, pos)
        return pos

    def _element(
        self, header: Header, at: int, end: int, layout: Layout, depth: int
    ) -> tuple[RawDataElement, int]:
        """Make a raw element of any kind; also return where the next one begins."""
        tag, vr, length, start = header
        value_end, after = self._extent(header, at, end, layout, depth)
        sequence = self._is_sequence(header, layout)
        inner = item_layout(self._data, start, vr, layout) if sequence else layout
        name: str | None = None
        if sequence:
            name = "SQ"
            if inner is not layout:
                self.foreign.append(_base_tag(tag))
        elif length == UNDEFINED_LENGTH and _vr_of(tag, vr) not in _MAY_BE_UNDEFINED:
            name = "OB"  # of UN pydicom would make the VR that the dictionary knows
        elif vr is not None:
            # A VR that PS3.5 doesn't know says nothing about the value, as UN does.
            name = _NAMES.get(vr, "UN")
        value = bytes(self._data[start:value_end])
        # pydicom takes no value and a length for one that it has to fetch from a file.
        kept = value if value or sequence or length or name in _TEXT_VRS else None
        key = _base_tag(tag)
        raw = _raw((key, name, length, kept, start, not inner.explicit, inner.little, True, False))
        return raw, after

    def check_items(self, pos: int, end: int, layout: Layout, depth: int) -> None:
        """Check the items of a value that wasn't known to be a sequence when it was read.

        Raises:
            PacsException: ``TRUNCATED``, ``DECODE_FAILED`` or ``LIMIT_EXCEEDED``.
        """
        if depth > MAX_NESTING:
            raise nested_too_deeply(pos)
        self._check_items(pos, end, False, layout, depth)

    # -- structure only --------------------------------------------------------------

    def _extent(
        self, header: Header, at: int, end: int, layout: Layout, depth: int
    ) -> tuple[int, int]:
        """Check a value and all that lies in it; say where it ends and what follows begins.

        The end of a value of undefined length is that before its delimitation item.
        """
        tag, vr, length, start = header
        undefined = length == UNDEFINED_LENGTH
        if not undefined and length > end - start:
            raise truncated(tag, at, length, end - start)
        if not self._checked and self._is_sequence(header, layout):
            if depth >= MAX_NESTING:
                raise nested_too_deeply(start)
            inner = item_layout(self._data, start, vr, layout)
            limit = end if undefined else start + length
            after = self._check_items(start, limit, undefined, inner, depth + 1)
        elif undefined:
            after = skip_undefined(self._data, start, vr, layout, depth + 1)
        else:
            after = start + length
        return (after - 8 if undefined else start + length), after

    def _is_sequence(self, header: Header, layout: Layout) -> bool:
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

    def _check_items(self, pos: int, end: int, undefined: bool, layout: Layout, depth: int) -> int:
        """Walk items up to ``end`` or, of undefined length, the Sequence Delimitation Item."""
        data, unpack = self._data, layout.unpack_implicit
        while undefined or end - pos >= 8 or any(data[pos:end]):
            try:
                group, element, length = unpack(data, pos)
            except struct.error:
                raise truncated_header(len(data), pos) from None
            tag = group << 16 | element
            start = pos + 8
            if tag == SEQUENCE_END:
                return start if undefined else end
            if tag != ITEM:
                raise bad_item(tag, pos)
            self._items_left -= 1
            if self._items_left < 0:
                raise self._too_many("items", pos)
            if length == UNDEFINED_LENGTH:
                pos = self._check_elements(start, end, layout, depth, delimited=True)
            elif length > end - start:
                raise truncated(ITEM, pos, length, end - start)
            else:
                pos = start + length
                self._check_elements(start, pos, layout, depth, delimited=False)
        return end

    def _check_elements(
        self, pos: int, end: int, layout: Layout, depth: int, *, delimited: bool
    ) -> int:
        """Walk the elements of an item as :meth:`read` does, keeping none."""
        data, explicit = self._data, layout.explicit
        skip = element_run_skipper(layout)
        while True:
            if explicit:
                pos = skip(data, pos, end).end()  # type: ignore[union-attr]  # if only nothing
                if data[pos + 4 : pos + 6] == b"SQ" and pos + 12 <= end:
                    # Most of what isn't passed in one step, so it is worth a short way.
                    (length,) = layout.unpack_length(data, pos + 8)
                    if length <= end - pos - 12 and depth < MAX_NESTING:
                        begin = pos + 12
                        pos = begin + length
                        self._check_items(begin, pos, False, layout, depth + 1)
                        continue
            else:
                pos = self._skip_plain_implicit(pos, end, layout)
            if pos == end or (end - pos < _SHORTEST_HEADER and not any(data[pos:end])):
                break
            header = Header(*read_header(data, pos, layout))
            if header.tag >> 16 == DELIMITER_GROUP:
                if header.tag == ITEM_END:
                    return header.start
                if header.length:
                    raise bad_item(header.tag, pos)
                pos = header.start
                continue
            _, pos = self._extent(header, pos, end, layout, depth)
        if delimited:
            raise truncated_header(len(data), pos)
        return pos

    def _skip_plain_implicit(self, pos: int, end: int, layout: Layout) -> int:
        """Find the end of a run of elements that are no sequences by the dictionary.

        A pattern of bytes can't tell a sequence here, whose items have to be checked.
        """
        data, plain, sequences = self._data, _PLAIN[layout], _SEQUENCE_TAGS
        unpack, tags, last = plain.unpack_implicit, plain.tags, end - _SHORTEST_HEADER
        while pos <= last:
            key, length = unpack(data, pos)
            try:
                tag = tags[key]
            except KeyError:
                break
            if tag in sequences or length == UNDEFINED_LENGTH:
                break
            if length > last - pos:
                raise truncated(tag, pos, length, last - pos)
            pos += 8 + length
        return pos

    # -- limits ----------------------------------------------------------------------

    def _count_elements(self, count: int, pos: int) -> None:
        self._elements_left -= count
        if self._elements_left < 0:
            raise self._too_many("elements", pos)

    def _too_many(self, what: str, offset: int) -> PacsException:
        limit = self._limits[what]
        return PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the data set has more than {limit} {what}, at byte {offset}",
            limit=limit,
            offset=offset,
        )
