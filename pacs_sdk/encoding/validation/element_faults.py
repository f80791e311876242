"""What is wrong with one element: its values, its length, and how many values it has."""

from __future__ import annotations

import functools
from typing import Final

import pydicom
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement, RawDataElement

from pacs_sdk.core.automatic_vr import UNREADABLE
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.value_rules import (
    FindingKind,
    ValueContext,
    ValueFault,
    validate_value,
    values_in,
)
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding.charsets import CharacterSets, decode_text
from pacs_sdk.encoding.validation.value_screen import plain_field_count, plain_value_count
from pacs_sdk.encoding.values import decode_values, encode_values

__all__ = ["element_faults", "is_plainly_right"]


def is_plainly_right(tag: int, vr: str, element: DataElement | RawDataElement) -> bool:
    """Whether an element of a data set surely has no fault, told without looking closely.

    Args:
        tag: Its tag.
        vr: Its VR, not SQ.
        element: The element; one as read is held against its rules as it is encoded.
    """
    if isinstance(element, RawDataElement):
        count = plain_field_count(vr, element.value or b"")
    else:
        count = plain_value_count(VR(vr), element.value)
    if not count or tag >> 16 & 1:
        return count is not None
    least, most, step = _multiplicity_of(tag)
    return (least <= count <= most and count % step == 0) or vr in _BYTES


def element_faults(
    dataset: pydicom.Dataset,
    tag: DicomTag,
    vr: VR,
    sets: CharacterSets,
    context: ValueContext = ValueContext.DATA_SET,
    sets_read: CharacterSets | None = None,
) -> list[ValueFault]:
    """Return everything that is wrong with an element.

    Args:
        dataset: The data set or item that it is in.
        tag: Which element.
        vr: Its VR.
        sets: The Specific Character Set that it is under.
        context: What its values are for.
        sets_read: The one that its bytes are in, where it has been given another since.
    """
    if vr is VR.SQ:
        return _faults_of_sequence(dataset, tag)
    element = stored_element(dataset, int(tag))
    if not isinstance(element, RawDataElement):
        return [
            *validate_value(vr, element.value, context),
            *_character_set_faults(vr, element.value, sets),
            *_multiplicity(tag, vr, element.value, context),
        ]
    data = element.value or b""
    faults: list[ValueFault] = []
    if len(data) % 2:
        faults.append(
            ValueFault(FindingKind.ODD_LENGTH, f"value field of {len(data)} bytes, an odd number")
        )
    if vr.kind is VrKind.TEXT and sets_read is not None and sets_read != sets:
        value: object = _raw_text(vr, data, sets_read)
        faults += _character_set_faults(vr, value, sets)
    elif vr.kind is VrKind.TEXT:
        value = _raw_text(vr, data, sets)
        fault = _undecodable(vr, data, sets)
        if fault is not None:
            return [*faults, fault, *_multiplicity(tag, vr, value, context)]
    else:
        match decode_values(vr, data, element.is_little_endian):
            case Success(decoded):
                value = decoded
            case Failure(error):
                return [*faults, ValueFault(FindingKind.LENGTH, error.message)]
    return [
        *faults,
        *validate_value(vr, value, context),
        *_multiplicity(tag, vr, value, context),
    ]


def _faults_of_sequence(dataset: pydicom.Dataset, tag: DicomTag) -> list[ValueFault]:
    try:
        dataset[int(tag)].value  # noqa: B018  # decodes it
    except UNREADABLE:
        return [ValueFault(FindingKind.FORMAT, "the items of the sequence cannot be read")]
    return []


def _raw_text(vr: VR, data: bytes, sets: CharacterSets) -> str:
    """Decode a text field; of its padding, the byte that makes it even is removed."""
    bare = data.removesuffix(vr.padding) if len(data) % 2 == 0 else data
    if vr.rule.repertoire is Repertoire.DEFAULT:
        return bare.decode("latin-1")
    return decode_text(bare, sets, vr)


_UNDECLARED: Final = ValueFault(
    FindingKind.REPERTOIRE, "characters beyond ISO-IR 6, and no Specific Character Set has them"
)


def _undecodable(vr: VR, data: bytes, sets: CharacterSets) -> ValueFault | None:
    """Tell whether bytes as read are no characters in the character set that holds."""
    if vr.rule.repertoire is not Repertoire.EXTENDED:
        return None
    if _is_undeclared(vr, data.isascii(), sets):
        return _UNDECLARED
    try:
        decode_text(data, sets, vr, strict=True)
    except PacsException:
        terms = ", ".join(one.term for one in sets)
        return ValueFault(FindingKind.REPERTOIRE, f"bytes that are no characters in {terms}")
    return None


def _is_undeclared(vr: VR, is_ascii: bool, sets: CharacterSets) -> bool:
    """Whether text needs a Specific Character Set and has none (PS3.5 6.1.2.2)."""
    extended = vr.rule.repertoire is Repertoire.EXTENDED
    return extended and not is_ascii and all(one.is_default for one in sets)


def _character_set_faults(vr: VR, value: object, sets: CharacterSets) -> tuple[ValueFault, ...]:
    """Tell whether text that is yet to be written can be, in the declared character set."""
    if vr.rule.repertoire is not Repertoire.EXTENDED:
        return ()
    for text in (str(one) for one in values_in(vr, value)):
        if _is_undeclared(vr, text.isascii(), sets):
            return (_UNDECLARED,)
        match encode_values(vr, (text,), True, sets):
            case Failure(error) if error.code is ErrorCode.ENCODE_FAILED:
                return (ValueFault(FindingKind.REPERTOIRE, error.message),)
    return ()


_BYTES: Final = frozenset(str(vr) for vr in VR if vr.kind is VrKind.BYTES)
_SEVERAL_KEYS: Final = frozenset((VR.AE, VR.AS, VR.AT, VR.CS, VR.LO, VR.PN, VR.SH, VR.UC))
"""The VRs that multiple value matching is for (PS3.4 C.2.2.2.8)."""

_MANY: Final = 1 << 32
"""More values than an element can have: it stands for ``n``."""


def _multiplicity(tag: DicomTag, vr: VR, value: object, context: ValueContext) -> list[ValueFault]:
    """Compare the number of values with the dictionary's; none is type 2, and allowed."""
    if tag.is_private or vr.kind in (VrKind.BYTES, VrKind.SEQUENCE):
        return []
    found = len(values_in(vr, value))
    least, most, step = _multiplicity_of(int(tag))
    if context is ValueContext.QUERY:
        if tag == SPECIFIC_CHARACTER_SET and found == 0:
            return [_EMPTY_CHARACTER_SET]
        least, step = 1, 1  # a key may be one of the values that are sought (PS3.4 C.2.2.3)
        if vr is VR.UI or (vr in _SEVERAL_KEYS and most > 1):
            most = _MANY
    if found == 0 or (least <= found <= most and found % step == 0):
        return []
    allowed = dictionary_VM(int(tag))
    return [
        ValueFault(
            FindingKind.MULTIPLICITY, f"{found} value(s), where the dictionary has {allowed}"
        )
    ]


_EMPTY_CHARACTER_SET: Final = ValueFault(
    FindingKind.MULTIPLICITY, "in a query it is absent or has a value (PS3.4 C.2.2.2)"
)


@functools.lru_cache(maxsize=1 << 14)  # as many as the dictionary and its repeating groups
def _multiplicity_of(tag: int) -> tuple[int, int, int]:
    """Return the least and most values of an attribute, and what divides their number.

    PS3.6 writes ``3``, ``1-8``, ``1-n``, or ``2-2n`` for pairs (PS3.5 6.4).
    """
    try:
        least, _, most = str(dictionary_VM(tag)).partition("-")
    except KeyError:
        return 0, _MANY, 1
    if most.endswith("n"):
        return int(least), _MANY, int(most[:-1] or 1)
    return int(least), int(most or least), 1
