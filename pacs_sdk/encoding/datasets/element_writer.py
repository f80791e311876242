"""Laying out elements in bytes (PS3.5 7.1, 7.5).

An element that is as it was read is written with the bytes it had, header apart; words and
numbers are swapped where the byte order changes. Others are encoded from their values.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from typing import Any, Final, TypeAlias

import attrs
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName
from typing_extensions import Buffer

from pacs_sdk.core.automatic_vr import UNREADABLE, vr_in
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.model_values import word_bytes
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    CharacterSets,
    character_sets,
    decode_text,
)
from pacs_sdk.encoding.datasets.element_reader import ElementReader
from pacs_sdk.encoding.datasets.elements import (
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)
from pacs_sdk.encoding.datasets.lazy_dataset import Inherited, LazyDataset, items_of
from pacs_sdk.encoding.transfer_syntax import TransferSyntax
from pacs_sdk.encoding.values import encoded_field

__all__ = ["ElementWriter", "Scope"]

_PIXEL_DATA: Final = 0x7FE00010
_BITS_ALLOCATED: Final = 0x00280100
_NOT_DATA_SET: Final = (0x0000, 0x0002)
"""Command elements and file meta, which pydicom users sometimes keep in a data set."""
_ALL_TAGS: Final = range(1 << 32)
_LONGEST_SHORT: Final = 0xFFFE
_LONGEST: Final = 0xFFFFFFFE
_CHUNK_BYTES: Final = 1 << 20
"""How much of a buffered value is read at once."""
_ITEM_END: Final = (0xFFFE, 0xE00D, 0)
_SEQUENCE_END: Final = (0xFFFE, 0xE0DD, 0)
_KNOWN_VRS: Final = SHORT_VRS | LONG_VRS

_Element: TypeAlias = DataElement | RawDataElement


@attrs.frozen
class Scope:
    """What holds for the elements of a data set or item that is being written."""

    around: tuple[Dataset, ...]
    """The data set, and those it lies in, the nearest first."""
    sets: CharacterSets
    """The Specific Character Set that text is written in."""
    sets_read: CharacterSets
    """That in which text was read that nobody has looked at."""
    recoded: bool
    """Whether that is another than it is written in."""
    words_little: bool
    """The byte order of words in the values of elements."""

    @classmethod
    def of(cls, dataset: Dataset, outer: Scope | None, words_little: bool) -> Scope:
        """Take from a data set what it says of itself, and the rest from around it.

        Args:
            dataset: The data set or item.
            outer: The scope it lies in.
            words_little: The byte order of words where the data set doesn't know it.
        """
        declared = _declared(dataset)
        sets = declared or (DEFAULT_CHARACTER_SETS if outer is None else outer.sets)
        if isinstance(dataset, LazyDataset):
            read = dataset.sets_read
            recoded = read != sets
        else:
            read = sets
            recoded = _declared_anew(dataset) or bool(not declared and outer and outer.recoded)
        order = _order_read(dataset)
        return cls(
            (dataset, *(outer.around if outer else ())),
            sets,
            read,
            recoded,
            words_little if order is None else order,
        )


def _declared_anew(dataset: Dataset) -> bool:
    """Whether pydicom read a data set in another character set than it declares now."""
    read = dataset.original_character_set
    return bool(read) and read != dataset._character_set


def _declared(dataset: Dataset) -> CharacterSets:
    """Return what a data set declares; nothing where it has no value, as if it were absent."""
    if SPECIFIC_CHARACTER_SET not in dataset:
        return ()
    value = stored_element(dataset, SPECIFIC_CHARACTER_SET).value or b""
    if not isinstance(value, bytes):
        terms = [value] if isinstance(value, str) else value
        value = "\\".join(str(term) for term in terms).encode("ascii", "replace")
    return character_sets(value) if value.strip(b" \0") else ()


def _order_read(dataset: Dataset) -> bool | None:
    """Tell the byte order a data set was read in: by what was read, or by what pydicom says.

    pydicom reads Implicit VR where a file says Explicit, and then repeats what it says.
    """
    for element in dataset._dict.values():
        if isinstance(element, RawDataElement):
            return element.is_little_endian
    return dataset.original_encoding[1]


class ElementWriter:
    """Lays out data sets in one transfer syntax.

    Args:
        syntax: The transfer syntax; whether it is deflated doesn't matter here.
    """

    def __init__(self, syntax: TransferSyntax) -> None:
        self._syntax = syntax
        self._explicit, self._little = syntax.explicit_vr, syntax.little_endian
        order = "<" if syntax.little_endian else ">"
        self._short = struct.Struct(f"{order}HH2sH").pack
        self._long = struct.Struct(f"{order}HH2sHI").pack
        self._implicit = struct.Struct(f"{order}HHI").pack

    def pieces(self, dataset: Dataset, scope: Scope, tags: range = _ALL_TAGS) -> Iterator[Buffer]:
        """Yield the elements of a data set, in order, in pieces; group lengths are left out.

        Args:
            dataset: What to lay out.
            scope: What holds for it.
            tags: The tags that are wanted.

        Raises:
            PacsException: ``ENCODE_FAILED`` naming the element.
        """
        for tag in sorted(dataset._dict):
            number = int(tag)
            group = number >> 16
            if group in _NOT_DATA_SET or (number & 0xFFFF == 0 and group > 6):
                continue
            if number not in tags:
                continue
            if number == SPECIFIC_CHARACTER_SET and scope.recoded and not _declared(dataset):
                continue  # many read the default repertoire there, whatever is around it
            element = _found(dataset, tag, scope)
            try:
                if isinstance(element, RawDataElement):
                    yield from self._raw(element, scope)
                else:
                    yield from self._decoded(element, scope)
            except PacsException as exc:
                raise _named(exc, number) from None

    # -- as read -----------------------------------------------------------------------

    def _raw(self, raw: RawDataElement, scope: Scope) -> Iterator[Buffer]:
        vr, reordered = raw.VR, raw.is_little_endian != self._little
        if vr is None and (self._explicit or reordered or scope.recoded):
            vr = self._resolved(raw.tag, scope)
        if vr == "SQ" and (raw.VR == "SQ" or _holds_items(raw, len(scope.around))):
            yield from self._raw_sequence(raw._replace(VR="SQ"), scope)
            return
        if vr == "SQ":
            vr = "UN"  # whose bytes are laid out as these are (PS3.5 6.2.2)
        value = raw.value or b""
        if raw.length == UNDEFINED_LENGTH:
            yield from self._fragments(raw.tag, vr or "OB", value)
            return
        if vr is not None and (reordered or scope.recoded):
            vr, value = self._converted(raw, vr, value, scope)
        yield self._header(raw.tag, vr, len(value))
        yield value

    def _converted(
        self, raw: RawDataElement, vr: str, value: bytes, scope: Scope
    ) -> tuple[str, bytes]:
        """Turn a value as read into another byte order or character set."""
        if vr not in VR.__members__:
            return vr, value
        rule = VR(vr).rule
        if rule.kind is VrKind.TEXT:
            plain = value.isascii() and b"\x1b" not in value and b"~" not in value
            if scope.recoded and rule.repertoire is Repertoire.EXTENDED and not plain:
                text = decode_text(value, scope.sets_read, rule.vr).rstrip("\0 ")
                texts = text.split("\\") if rule.multiple else [text]
                return vr, encoded_field(VR(vr), texts, self._little, scope.sets)
            return vr, value
        if raw.is_little_endian == self._little or vr == "UN":
            return vr, value
        width = word_bytes(scope.around[0], raw.tag, rule.vr)
        if width > 1 and len(value) % width:
            return "UN", value  # these bytes are no words, so nobody may take them for such
        return vr, swapped(value, width)

    def _raw_sequence(self, raw: RawDataElement, scope: Scope) -> Iterator[Buffer]:
        value = raw.value or b""
        undefined = raw.length == UNDEFINED_LENGTH
        same = (raw.is_implicit_VR, raw.is_little_endian) == (not self._explicit, self._little)
        if same and not scope.recoded:
            yield self._header(raw.tag, "SQ", UNDEFINED_LENGTH if undefined else len(value))
            yield value
            if undefined:
                yield self._implicit(*_SEQUENCE_END)
            return
        inherited = Inherited(scope.sets_read, depth=len(scope.around))
        items = items_of(raw, inherited, checked=isinstance(scope.around[0], LazyDataset))
        yield from self._sequence(raw.tag, items, undefined, scope)

    # -- from values -------------------------------------------------------------------

    def _decoded(self, element: DataElement, scope: Scope) -> Iterator[Buffer]:
        vr, value = str(element.VR), element.value
        if vr == "SQ":
            undefined = bool(element.is_undefined_length)
            yield from self._sequence(element.tag, value or (), undefined, scope)
            return
        if vr not in VR.__members__:
            native = not self._syntax.encapsulated
            if element.tag == _PIXEL_DATA and native and _BITS_ALLOCATED not in scope.around[0]:
                raise _unfit("its VR depends on Bits Allocated, which is absent")
            vr = self._resolved(element.tag, scope)
        if isinstance(value, BufferedIOBase):
            yield from self._buffered(element, vr, value)
            return
        # Nested Pixel Data may be native in an encapsulated syntax (PS3.5 A.4).
        at_top = element.tag == _PIXEL_DATA and self._syntax.encapsulated and len(scope.around) == 1
        if value and (element.is_undefined_length or at_top):
            yield from self._fragments(element.tag, "OB", value)
            return
        field = self._field(element.tag, VR(vr), value, scope)
        yield self._header(element.tag, vr, len(field))
        yield field

    def _field(self, tag: BaseTag, vr: VR, value: Any, scope: Scope) -> bytes:
        rule = vr.rule
        if rule.kind is VrKind.BYTES:
            data = b"" if value is None else value
            if not isinstance(data, bytes | bytearray | memoryview):
                raise _unfit(f"{vr} holds bytes, and not {type(data).__name__}")
            data = bytes(data)
            width = word_bytes(scope.around[0], tag, rule.vr)
            if scope.words_little != self._little and width > 1:
                if len(data) % width:
                    raise _unfit(f"{vr} needs whole words of {width} bytes, not {len(data)} bytes")
                data = swapped(data, width)
            return data + b"\0" * (len(data) % 2)
        if isinstance(value, bytes):  # text of before; or what fitted no VR when it was read
            return value + rule.padding * (len(value) % 2)
        values = _values_of(value)
        if rule.kind is VrKind.TEXT:
            values = [_text_of(one) for one in values]
            if rule.repertoire is Repertoire.DEFAULT and all(isinstance(v, str) for v in values):
                return _plain_text(vr, values)
        return encoded_field(vr, values, self._little, scope.sets)

    def _buffered(self, element: DataElement, vr: str, value: BufferedIOBase) -> Iterator[Buffer]:
        """Yield a value that is read from somewhere, chunk by chunk."""
        start = value.tell()
        length = value.seek(0, 2) - start
        value.seek(start)
        fragments = bool(element.is_undefined_length)
        yield self._header(element.tag, vr, UNDEFINED_LENGTH if fragments else length + length % 2)
        while chunk := value.read(_CHUNK_BYTES):
            yield chunk
        value.seek(start)
        if fragments:
            yield self._implicit(*_SEQUENCE_END)
        elif length % 2:
            yield b"\0"

    def _fragments(self, tag: BaseTag, vr: str, value: Buffer) -> Iterator[Buffer]:
        yield self._header(tag, vr, UNDEFINED_LENGTH)
        yield value
        yield self._implicit(*_SEQUENCE_END)

    def _sequence(
        self, tag: BaseTag, items: Sequence[Dataset], undefined: bool, scope: Scope
    ) -> Iterator[Buffer]:
        parts: list[Buffer] = []
        for item in items:
            inner = Scope.of(item, scope, scope.words_little)
            content = list(self.pieces(item, inner))
            if item.is_undefined_length_sequence_item:
                parts.append(self._implicit(0xFFFE, 0xE000, UNDEFINED_LENGTH))
                parts += content
                parts.append(self._implicit(*_ITEM_END))
            else:
                parts.append(self._implicit(0xFFFE, 0xE000, _checked(_size(content))))
                parts += content
        yield self._header(tag, "SQ", UNDEFINED_LENGTH if undefined else _size(parts))
        yield from parts
        if undefined:
            yield self._implicit(*_SEQUENCE_END)

    # -- headers -----------------------------------------------------------------------

    def _header(self, tag: BaseTag, vr: str | None, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if length != UNDEFINED_LENGTH:
            _checked(length)
        if not self._explicit:
            return self._implicit(group, element, length)
        code = (vr or "UN").encode("ascii", "replace")
        if code in SHORT_VRS:
            if length <= _LONGEST_SHORT:
                return self._short(group, element, code, length)
            code = b"UN"  # the 16-bit length cannot say it (PS3.5 6.2.2)
        return self._long(group, element, code, 0, length)

    def _resolved(self, tag: BaseTag, scope: Scope) -> str:
        return str(vr_in(int(tag), scope.around, self._syntax))


def _holds_items(raw: RawDataElement, depth: int) -> bool:
    """Whether a value is a sequence in truth: a private one, whose reader knew no dictionary.

    Args:
        raw: An element of Implicit VR.
        depth: How deep its items lie.
    """
    value = raw.value or b""
    layout = IMPLICIT_LITTLE if raw.is_little_endian else IMPLICIT_BIG
    try:
        ElementReader(value).check_items(0, len(value), layout, depth)
    except PacsException:
        return False
    return True


def _found(dataset: Dataset, tag: BaseTag, scope: Scope) -> _Element:
    """Return an element as it was read if that can be written, else with its value."""
    element: _Element = dataset._dict[tag]
    raw: RawDataElement | None = None
    if isinstance(element, RawDataElement):
        raw = element
    elif isinstance(dataset, LazyDataset):
        raw = dataset.as_read(element)
    if raw is None:
        return element
    if raw.value is None and raw.length:  # pydicom left it in the file
        return dataset[tag]
    if scope.recoded and (raw.VR == "UN" or not isinstance(dataset, LazyDataset)):
        # UN may be text by the dictionary; and how pydicom has read text, it knows best.
        with contextlib.suppress(*UNREADABLE):
            return dataset[tag]
    return raw


def _values_of(value: Any) -> list[Any]:
    if value is None or (isinstance(value, str) and not value):
        return []
    if isinstance(value, MultiValue | list | tuple):
        return list(value)
    return [value] if isinstance(value, str) or not hasattr(value, "tolist") else _array(value)


def _array(value: Any) -> list[Any]:
    listed = value.tolist()
    return listed if isinstance(listed, list) else [listed]


def _text_of(value: Any) -> Any:
    """Return text of what pydicom has for it; numbers stay numbers."""
    if isinstance(value, str | int | float) or value is None or hasattr(value, "as_tuple"):
        return value
    if isinstance(value, PersonName) or hasattr(value, "original_string"):
        return str(value)
    if hasattr(value, "isoformat"):
        raise _unfit("a date or time without its DICOM text cannot be written")
    return value


def _plain_text(vr: VR, values: Sequence[str]) -> bytes:
    """Encode text that Specific Character Set says nothing of.

    What others wrote into it beyond ISO-IR 6 was read as Latin-1 and is written so again, a
    backslash within it too: whether it is valid is for validation to say.
    """
    try:
        data = "\\".join(values).encode("latin-1")
    except UnicodeEncodeError:
        raise _unfit(f"{vr} has the default repertoire only (PS3.5 6.1.1)") from None
    return data + vr.padding * (len(data) % 2)


def _size(parts: Sequence[Buffer]) -> int:
    return sum(memoryview(part).nbytes for part in parts)


def _checked(length: int) -> int:
    if length > _LONGEST:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"{length} bytes are more than an element can have ({_LONGEST})",
            limit=_LONGEST,
        )
    return length


def _unfit(words: str) -> PacsException:
    return PacsException(ErrorCode.ENCODE_FAILED, words)


def _named(exc: PacsException, number: int) -> PacsException:
    """Say in which element it went wrong, the innermost only."""
    error = exc.error
    if "tag" in error.details:
        return exc
    tag = DicomTag(number)
    code = error.code if error.code is ErrorCode.LIMIT_EXCEEDED else ErrorCode.ENCODE_FAILED
    return PacsException(
        code,
        f"{tag} {tag.keyword} cannot be encoded: {error.message}".replace("  ", " "),
        **{**error.details, "tag": str(tag)},
    )
