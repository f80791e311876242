"""pydicom's data set over raw elements that our own code turns into values and items.

Nothing is converted before it is looked at, sequences included. What an element was before
that is remembered, so that the writer can repeat untouched elements byte for byte.
"""

from __future__ import annotations

import contextlib
import copy
import struct
from collections.abc import Mapping
from typing import Any, Final

import attrs
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from pacs_sdk.core.automatic_vr import UNREADABLE
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET
from pacs_sdk.core.vr import VR, Repertoire
from pacs_sdk.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    DEFAULT_POLICY,
    CharacterSetPolicy,
    CharacterSets,
    decode_text,
    effective_character_sets,
    pydicom_encodings,
)
from pacs_sdk.encoding.datasets.element_reader import ElementReader, Found
from pacs_sdk.encoding.datasets.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Layout,
    bad_item,
    item_layout,
    truncated,
)
from pacs_sdk.encoding.datasets.raw_values import element_of, is_plain_conversion

__all__ = ["Inherited", "LazyDataset", "build_dataset", "build_foreign", "file_meta", "items_of"]

_CHARSET: Final = BaseTag(SPECIFIC_CHARACTER_SET)
_PIXEL_REPRESENTATION: Final = BaseTag(0x00280103)
_BLANK: Final = vars(Dataset())
"""The attributes of an empty data set of pydicom."""
_PADDING: Final = b" \0"
_WRITTEN_NUMBERS: Final = ("DS", "IS")
"""VRs of numbers whose text says how they are written, which pydicom leaves out of comparisons."""
_NO_SEQUENCE: Final = (EOFError, InvalidDicomError, OSError, RecursionError, struct.error)
"""What pydicom raises on its way through bytes that are no items."""
_BLANK_META: Final = vars(FileMetaDataset())
_BLANK_CONTAINERS: Final = tuple(
    name for name, value in _BLANK.items() if isinstance(value, dict | list)
)


@attrs.frozen
class Inherited:
    """What the items of a data set take over from it."""

    sets: CharacterSets = DEFAULT_CHARACTER_SETS
    """The Specific Character Set."""
    signed_pixels: bool = False
    """Whether ``US or SS`` means SS: Pixel Representation is 1 (PS3.3 C.7.6.3.1)."""
    depth: int = 0
    """How many sequences the data set lies in."""
    policy: CharacterSetPolicy = DEFAULT_POLICY
    """How text is read, whatever Specific Character Set says."""


class LazyDataset(Dataset):
    """A data set as it was read; it is used as any of pydicom's.

    Elements are converted when they are asked for. Several threads may read together; two
    that ask for the same sequence at once may get items that are equal and not the same.
    """

    _inherited: Inherited
    _as_read: dict[BaseTag, RawDataElement]

    def __getitem__(self, key: Any) -> Any:  # pydicom's: an element, or a data set for a slice
        """Return an element, converted; failures are those of pydicom.

        Raises:
            KeyError: There is no such element.
        """
        try:
            element = self._dict[key]
        except (KeyError, TypeError):
            if isinstance(key, slice):
                return super().__getitem__(key)
            try:
                key = Tag(key)
            except Exception as exc:  # as pydicom does, whatever it raised
                raise KeyError(f"'{key}'") from exc
            element = self._dict[key]
        if type(element) is not RawDataElement:
            return element
        return self._converted(element)

    def __eq__(self, other: object) -> bool:
        """Whether another data set, of whatever class, has equal elements."""
        if not isinstance(other, Dataset):
            return NotImplemented
        if other is self:
            return True
        return self.keys() == other.keys() and all(
            self[tag] == other[tag] for tag in self.keys()
        )  # iterating gives elements

    __hash__ = None  # type: ignore[assignment]  # mutable

    @property
    def sets_read(self) -> CharacterSets:
        """The Specific Character Set it was read with."""
        return self._inherited.sets

    def as_read(self, element: DataElement) -> RawDataElement | None:
        """Return what an element was when it was read, if it still has the value it had then.

        Returns:
            The raw element, or ``None`` for a new or changed one, and for a sequence.
        """
        raw = self._as_read.get(element.tag)
        if raw is None:
            return None
        if element.value is raw.value:
            return raw
        again = element_of(raw, self.sets_read)
        if again is None:
            names = list(pydicom_encodings(self.sets_read))
            again = convert_raw_data_element(raw, encoding=names, ds=self)
        if again.VR != element.VR:
            return None
        if element.VR in _WRITTEN_NUMBERS:  # 1.0 may stand for 1.000, which would be equal
            same = str(again.value) == str(element.value)
        else:  # NaN equals nothing, not even itself
            same = bool(again.value == element.value) or repr(again.value) == repr(element.value)
        return raw if same else None

    def _converted(self, raw: RawDataElement) -> DataElement:
        tag = raw.tag
        if raw.VR == "SQ":
            element: DataElement | None = self._sequence(raw)
        elif not is_plain_conversion():
            element = None
        else:
            inherited = self._inherited
            sets = DEFAULT_CHARACTER_SETS if tag == _CHARSET else inherited.sets
            element = element_of(raw, sets)
            if element is not None and inherited.policy.strict:
                _check_text(raw, str(element.VR), sets)
        if element is None:
            element = self._by_pydicom(raw)
        else:
            if tag >> 16 & 1:
                self._note_owner(element)
            self._dict[tag] = element
        if raw.VR != "SQ":
            self._as_read[tag] = raw
        return element

    def _by_pydicom(self, raw: RawDataElement) -> DataElement:
        """Convert as pydicom does; a sequence that its dictionaries see in UN is checked first.

        Raises:
            ValueError: It is none, or nested too deeply; for other values what pydicom raises.
        """
        element: DataElement | None = None
        try:
            element = super().__getitem__(raw.tag)
            if element.VR == "SQ":
                element = None
                element = self._dict[raw.tag] = self._sequence(self._checked_sequence(raw))
        except (*_NO_SEQUENCE, PacsException) as exc:
            raise ValueError(f"the value is no sequence: {exc}") from exc
        finally:
            if element is None:  # pydicom keeps what it had made when it failed
                self._dict[raw.tag] = raw
        return element

    def _checked_sequence(self, raw: RawDataElement) -> RawDataElement:
        """Check what the reader took for a value, by the layout its first bytes show."""
        value = raw.value or b""
        layout = item_layout(value, 0, b"UN", IMPLICIT_LITTLE)
        ElementReader(value).check_items(0, len(value), layout, self._inherited.depth + 1)
        return raw._replace(
            VR="SQ",
            value=value,
            is_implicit_VR=not layout.explicit,
            is_little_endian=layout.little,
        )

    def _note_owner(self, element: DataElement) -> None:
        """Name the private creator, as pydicom does when an element is set (PS3.5 7.8.1).

        One that cannot be read is none: the element's own value is not damaged by that.
        """
        tag = int(element.tag)
        block = tag >> 8 & 0xFF
        creator = BaseTag(tag & 0xFFFF0000 | block)
        if block and creator in self._dict:
            with contextlib.suppress(*UNREADABLE):
                element.private_creator = self[creator].value

    def _sequence(self, raw: RawDataElement) -> DataElement:
        inherited = attrs.evolve(self._inherited, depth=self._inherited.depth + 1)
        items = items_of(raw, inherited, checked=True)
        sequence = Sequence()
        sequence._list = items
        undefined = raw.length == UNDEFINED_LENGTH
        sequence.is_undefined_length = undefined
        return DataElement(
            raw.tag, "SQ", sequence, raw.value_tell, undefined, already_converted=True
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyDataset:
        made = LazyDataset.__new__(LazyDataset)
        memo[id(self)] = made
        for name, value in vars(self).items():
            if name in ("_inherited", "_as_read"):  # immutable, or of immutable values
                vars(made)[name] = copy.copy(value)
            else:
                vars(made)[name] = copy.deepcopy(value, memo)
        return made


def _check_text(raw: RawDataElement, vr: str, sets: CharacterSets) -> None:
    """Refuse bytes that are no characters, which were replaced when they were decoded.

    Raises:
        PacsException: ``DECODE_FAILED``.
    """
    if VR(vr).rule.repertoire is Repertoire.EXTENDED:
        decode_text(raw.value or b"", sets, VR(vr), strict=True)


def build_dataset(found: Found, layout: Layout, inherited: Inherited) -> LazyDataset:
    """Make a data set of raw elements.

    Args:
        found: The elements.
        layout: How they were laid out.
        inherited: What holds for it; its own Specific Character Set and Pixel Representation
            are found here. One without value, which PS3.3 C.12.1.1.2 doesn't allow, is none.
    """
    outer = inherited.sets
    charset = found.get(_CHARSET)
    declared = b"" if charset is None else charset.value or b""
    if declared.strip(_PADDING):
        sets = effective_character_sets(declared, inherited.policy)
        inherited = attrs.evolve(inherited, sets=sets)
    representation = found.get(_PIXEL_REPRESENTATION)
    if representation is not None:
        signed = b"\1" in (representation.value or b"")
        if signed != inherited.signed_pixels:
            inherited = attrs.evolve(inherited, signed_pixels=signed)
    dataset: LazyDataset = LazyDataset.__new__(LazyDataset)
    fields = vars(dataset)
    fields.update(_BLANK)
    for name in _BLANK_CONTAINERS:
        fields[name] = fields[name].copy()
    fields["_dict"] = found
    fields["_parent_encoding"] = list(pydicom_encodings(outer))
    fields["_read_implicit"] = not layout.explicit
    fields["_read_little"] = layout.little
    fields["_read_charset"] = list(pydicom_encodings(inherited.sets))
    fields["_pixel_rep"] = int(inherited.signed_pixels)
    fields["_inherited"] = inherited
    fields["_as_read"] = {}
    return dataset


def file_meta(values: Mapping[int, str]) -> FileMetaDataset:
    """Make File Meta Information of UIDs, which pydicom's constructor takes longer for."""
    meta: FileMetaDataset = FileMetaDataset.__new__(FileMetaDataset)
    fields = vars(meta)
    fields.update(_BLANK_META)
    for name in _BLANK_CONTAINERS:
        fields[name] = fields[name].copy()
    for number, uid in values.items():
        value, tag = uid.encode("ascii", "replace"), BaseTag(number)
        raw = RawDataElement(tag, "UI", len(value), value, 0, False, True)
        fields["_dict"][tag] = raw
    return meta


def _items_layout(raw: RawDataElement) -> Layout:
    """Return how the items of a raw sequence are laid out."""
    if raw.is_little_endian:
        return IMPLICIT_LITTLE if raw.is_implicit_VR else EXPLICIT_LITTLE
    return IMPLICIT_BIG if raw.is_implicit_VR else EXPLICIT_BIG


def build_foreign(dataset: LazyDataset, reader: ElementReader) -> None:
    """Build at once the sequences that a reader found to be laid out in their own way.

    Args:
        dataset: What was read.
        reader: Who read it; it forgets them.
    """
    for tag in reader.foreign:
        if tag in dataset:
            dataset[tag]
    reader.foreign.clear()


def items_of(raw: RawDataElement, inherited: Inherited, *, checked: bool) -> list[Dataset]:
    """Build the items of a sequence.

    Args:
        raw: The sequence.
        inherited: What holds for the items.
        checked: Whether its structure was checked when it was read, so that the sequences in
            it need not be again.

    Raises:
        PacsException: ``TRUNCATED``, ``DECODE_FAILED`` or ``LIMIT_EXCEEDED``, for one that
            was not checked.
    """
    data, layout = raw.value or b"", _items_layout(raw)
    items: list[Dataset] = []
    pos, end = 0, len(data)
    reader = ElementReader(data, checked=checked)
    while end - pos >= 8:
        group, element, length = layout.unpack_implicit(data, pos)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            break
        if tag != ITEM:
            raise bad_item(tag, raw.value_tell + pos)
        start = pos + 8
        delimited = length == UNDEFINED_LENGTH
        item_end = end if delimited else start + length
        if item_end > end:
            raise truncated(ITEM, raw.value_tell + pos, length, end - start)
        found: Found = {}
        after = reader.read(found, start, item_end, layout, inherited.depth, delimited=delimited)
        item = build_dataset(found, layout, inherited)
        item.is_undefined_length_sequence_item = delimited
        build_foreign(item, reader)
        items.append(item)
        pos = after if delimited else item_end
    return items
