"""Values of raw elements, of the types that pydicom gives them, several times faster.

pydicom turns a raw element into a value through hooks, validation and constructors that
look at their argument again. Here each VR has one short function; what one of these
doesn't take goes pydicom's own way, with its patience for values that don't fit their VR
(benchmark ``read_dataset``).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pydicom import config, hooks
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import IS, DSfloat, PersonName

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding.charsets import CharacterSets, decode_text, pydicom_encodings

__all__ = ["KNOWN_TYPES", "element_of", "is_plain_conversion"]

_Convert: TypeAlias = Callable[[bytes, bool, CharacterSets], Any]

_PADDING: Final = " \0"
_LONGEST_SHORT: Final = 0xFFFE
"""The longest value that a 16-bit length can say."""
_ELEMENT_FIELDS: Final = vars(DataElement(BaseTag(0x00080060), "CS", ""))
"""What pydicom's element has; a new one is a copy with other values."""


def _several(type_constructor: Callable[[Any], Any], values: list[Any]) -> MultiValue[Any]:
    """Make pydicom's list of values, whose constructor would convert them once more."""
    made: MultiValue[Any] = MultiValue.__new__(MultiValue)
    made._constructor = type_constructor
    made._list = values
    return made


def _code_string(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    text = value.decode("latin-1").rstrip(_PADDING)
    return text if "\\" not in text else _several(str, text.split("\\"))


def _application_entity(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    parts = [part.strip() for part in value.decode("latin-1").split("\\")]
    return parts[0] if len(parts) == 1 else _several(str, parts)


def _uid(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    text = value.decode("latin-1").rstrip(_PADDING)
    if "\\" not in text:
        return str.__new__(UID, text.strip())
    return _several(UID, [str.__new__(UID, part.strip()) for part in text.split("\\")])


def _resource(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    return value.decode("latin-1").rstrip()


def _decimal(text: str) -> Any:
    bare = text.strip()
    if not bare:
        return text
    number = float.__new__(DSfloat, bare)
    number.original_string = bare
    number.auto_format = False
    return number


def _decimals(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    text = value.decode("ascii").strip().rstrip(_PADDING)
    if "\\" not in text:
        return _decimal(text)
    return _several(DSfloat, [_decimal(part) for part in text.split("\\")])


def _integer(text: str) -> Any:
    bare = text.strip()
    number = int.__new__(IS, bare)  # a ValueError sends it pydicom's way
    number.original_string = bare
    return number


def _integers(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    text = value.decode("ascii").rstrip(_PADDING)
    if "\\" not in text:
        return _integer(text)
    return _several(IS, [_integer(part) for part in text.split("\\")])


def _texts(value: bytes, _little: bool, sets: CharacterSets) -> Any:
    text = decode_text(value, sets)
    if "\\" not in text:
        return text.rstrip("\0 ")
    return _several(str, [part.rstrip("\0 ") for part in text.split("\\")])


def _text(value: bytes, _little: bool, sets: CharacterSets) -> Any:
    return decode_text(value, sets, VR.LT).rstrip("\0 ")


def _person_name(text: str, encoded: bytes, sets: CharacterSets) -> PersonName:
    components = text.split("=")
    while components and not components[-1]:
        components.pop()
    name: PersonName = object.__new__(PersonName)
    name.original_string = encoded if components else b""
    name._components = tuple(components)
    name.encodings = pydicom_encodings(sets)
    name.validation_mode = config.settings.reading_validation_mode
    return name


def _person_names(value: bytes, _little: bool, sets: CharacterSets) -> Any:
    bare = value.rstrip(b"\0 ")
    text = decode_text(bare, sets, VR.PN)
    if "\\" not in text:
        return _person_name(text, bare, sets)
    parts = text.split("\\")
    pieces = bare.split(b"\\")
    if len(pieces) != len(parts):  # a backslash byte is part of a character
        pieces = [PersonName(part, pydicom_encodings(sets)).encode() for part in parts]
    names = [_person_name(*pair, sets) for pair in zip(parts, pieces, strict=True)]
    return _several(PersonName, names)


def _bytes(value: bytes, _little: bool, _sets: CharacterSets) -> Any:
    return value


def _numbers(code: str) -> _Convert:
    """Make the function for a binary VR; the formats of few numbers are kept compiled."""
    width = struct.calcsize(f"<{code}")
    one_little, one_big = struct.Struct(f"<{code}").unpack, struct.Struct(f">{code}").unpack

    def convert(value: bytes, little: bool, _sets: CharacterSets) -> Any:
        if len(value) == width:
            return (one_little if little else one_big)(value)[0]
        return list(struct.unpack(f"{'<' if little else '>'}{len(value) // width}{code}", value))

    return convert


def _converters() -> dict[str, _Convert]:
    table: dict[str, _Convert] = {}
    for vr in VR:
        rule = vr.rule
        if rule.kind is VrKind.NUMBER:
            table[str(vr)] = _numbers(rule.number_format)
        elif rule.kind is VrKind.BYTES:
            table[str(vr)] = _bytes
        elif rule.repertoire is Repertoire.EXTENDED:
            table[str(vr)] = _texts if rule.multiple else _text
    return table | {
        "AE": _application_entity,
        "AS": _code_string,
        "CS": _code_string,
        "DA": _code_string,
        "DS": _decimals,
        "DT": _code_string,
        "IS": _integers,
        "PN": _person_names,
        "TM": _code_string,
        "UI": _uid,
        "UR": _resource,
    }


_CONVERTERS: Final[Mapping[str, _Convert]] = _converters()


@functools.lru_cache(maxsize=1 << 14)
def _dictionary_vr(tag: int) -> str | None:
    """Return the VR of a standard attribute; ``None`` where pydicom has to decide."""
    if tag >> 16 & 1:
        return None
    found = DicomTag(tag).dictionary_vr
    return found if found in _CONVERTERS and found != "UN" else None


@functools.lru_cache(maxsize=1 << 14)
def _short_vr(tag: int) -> str | None:
    """Return the VR of a standard attribute that is UN where it is longer than 64 KiB.

    A 16-bit length cannot say that, so writers in Explicit VR have no choice (PS3.5 6.2.2).
    """
    vr = _dictionary_vr(tag)
    return None if vr is None or VR(vr).has_long_length else vr


def _attributes(*values: object) -> list[list[str]]:
    return [sorted(vars(value)) for value in values]


KNOWN_TYPES: Final = _attributes(
    MultiValue(int, [1]), PersonName("a"), DSfloat("1"), IS("1"), DataElement(BaseTag(0), "UL", 1)
) == [
    ["_constructor", "_list"],
    ["_components", "encodings", "original_string", "validation_mode"],
    ["auto_format", "original_string"],
    ["original_string"],
    [
        "VR",
        "_value",
        "file_tell",
        "is_undefined_length",
        "private_creator",
        "tag",
        "validation_mode",
    ],
]
"""Whether the types of the installed pydicom are made of what is filled in here. Where a later
one has changed them, values are made by pydicom, more slowly."""


def is_plain_conversion() -> bool:
    """Whether pydicom's settings ask for nothing that the functions here don't do."""
    return KNOWN_TYPES and not (
        config.data_element_callback
        or config.datetime_conversion
        or config.use_DS_numpy
        or config.use_IS_numpy
        or config.use_DS_decimal
        or config.use_none_as_empty_text_VR_value
        or config.settings.reading_validation_mode == config.RAISE
        or hooks.hooks.raw_element_value is not hooks.raw_element_value
        or hooks.hooks.raw_element_vr is not hooks.raw_element_vr
    )


def element_of(raw: RawDataElement, sets: CharacterSets) -> DataElement | None:
    """Convert a raw element.

    Args:
        raw: The element; not a sequence.
        sets: The Specific Character Set.

    Returns:
        The element that pydicom would make of it, or ``None`` where that is left to pydicom:
        private elements without VR, UN, values that don't fit.
    """
    vr, value = raw[1], raw[3]
    if vr is None:
        vr = _dictionary_vr(raw[0])
    elif vr == "UN":
        if value is None or len(value) <= _LONGEST_SHORT:
            return None
        vr = _short_vr(raw[0])
    convert = _CONVERTERS.get(vr)  # type: ignore[arg-type]  # None is no key
    if convert is None:
        return None
    if not value:
        converted: Any = empty_value_for_VR(vr)
    else:
        try:
            converted = convert(value, raw[6], sets)
        except (ValueError, struct.error):
            return None
    element: DataElement = object.__new__(DataElement)
    vars(element).update(_ELEMENT_FIELDS)
    fields = vars(element)
    fields["tag"] = raw[0]
    fields["VR"] = vr
    fields["_value"] = converted
    fields["validation_mode"] = config.settings.reading_validation_mode
    fields["file_tell"] = raw[4]
    fields["is_undefined_length"] = raw[2] == 0xFFFFFFFF
    return element
