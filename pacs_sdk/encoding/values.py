"""Values to bytes and back, by VR, in both byte orders (PS3.5 6.2, 7.3).

What a value is in Python::

    text        str          padding removed, also before it where that means nothing
    IS          int          None for an empty one among several
    DS          Decimal      exact; None for an empty one among several
    FL FD       float
    SS … UV     int
    AT          DicomTag
    OB … UN     bytes        one value; words in little endian, whatever the data set's order
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.settable import decimal_text
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR, Repertoire, VrKind, VrRule
from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    CharacterSets,
    decode_text,
    encode_text,
)

__all__ = ["ElementValue", "decode_values", "encode_values", "encoded_field"]

ElementValue: TypeAlias = str | int | float | Decimal | bytes | DicomTag | None
"""One value of an element: text, a number, bytes, a tag, or nothing where a value of
several is empty."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,64}(?:\.0*)?")
"""A whole number; some writers give IS a point."""
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,9})?")
_PADDING: Final = " \0"
"""NUL too: writers confuse the padding of UI with that of other text."""


@edge()
def decode_values(
    vr: VR, data: bytes, little_endian: bool, sets: CharacterSets = DEFAULT_CHARACTER_SETS
) -> tuple[ElementValue, ...]:
    """Decode a value field.

    Args:
        vr: Its VR.
        data: The bytes, whole.
        little_endian: The byte order of binary values (PS3.5 7.3).
        sets: The Specific Character Set, from ``character_sets``; it matters for the VRs
            it applies to.

    Returns:
        ``Success`` with the values, none for an empty field, or ``Failure``:
        ``VALUE_CONVERSION_FAILED`` where a number is no number or the field ends within
        a word, ``INVALID_VR`` for SQ, whose items are data sets.
    """
    rule = vr.rule
    if not data:
        return ()
    match rule.kind:
        case VrKind.TEXT:
            return _decoded_text(rule, data, sets)
        case VrKind.SEQUENCE:
            raise _no_sequence()
    if len(data) % rule.width:
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED,
            f"{len(data)} bytes are not a multiple of {rule.width}, as {vr} needs",
            vr=str(vr),
        )
    if rule.kind is VrKind.BYTES:
        return (_in_order(rule, bytes(data), little_endian),)
    order = "<" if little_endian else ">"
    if rule.kind is VrKind.TAG:
        pairs = struct.iter_unpack(order + "HH", data)
        return tuple(DicomTag(group << 16 | element) for group, element in pairs)
    return struct.unpack(f"{order}{len(data) // rule.width}{rule.number_format}", data)


@edge()
def encode_values(
    vr: VR,
    values: Sequence[ElementValue | TagLike],
    little_endian: bool,
    sets: CharacterSets = DEFAULT_CHARACTER_SETS,
) -> bytes:
    """Encode the values of an element, padded to an even length.

    Args:
        vr: The VR.
        values: The values. Numbers may stand for IS and DS text, where DS is rounded to
            the 16 characters it has; anything :data:`~pacs_sdk.core.TagLike` for AT.
        little_endian: The byte order of binary values (PS3.5 7.3).
        sets: The Specific Character Set, from ``character_sets``.

    Returns:
        ``Success`` with the value field, or ``Failure``: ``VALUE_CONVERSION_FAILED`` for
        a value that is not of the VR's kind or range or that holds a backslash where
        that separates values; ``ENCODE_FAILED`` for text that the character set does not
        have; ``LIMIT_EXCEEDED`` for a field longer than a header can say;
        ``INVALID_TAG``; ``INVALID_VR`` for SQ. Formats and lengths of single values are
        not checked: ``validate_value`` does that.
    """
    rule = vr.rule
    field = encoded_field(vr, values, little_endian, sets)
    if len(field) > rule.max_field_bytes:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"{len(field)} bytes are more than an element of {vr} can have, "
            f"which is {rule.max_field_bytes}",
            vr=str(vr),
        )
    return field


def encoded_field(
    vr: VR,
    values: Sequence[ElementValue | TagLike],
    little_endian: bool,
    sets: CharacterSets = DEFAULT_CHARACTER_SETS,
) -> bytes:
    """Do what :func:`encode_values` does, whatever length that gives.

    What a 16-bit length cannot say is written in Implicit VR, or as UN (PS3.5 6.2.2).

    Raises:
        PacsException: The failures of :func:`encode_values`, but for ``LIMIT_EXCEEDED``.
    """
    rule = vr.rule
    if len(values) > 1 and not rule.multiple:
        raise _unfit(rule, f"has one value and not {len(values)}")
    match rule.kind:
        case VrKind.TEXT:
            field = _encoded_text(rule, values, sets)
        case VrKind.BYTES:
            field = b"".join(_encoded_bytes(rule, one, little_endian) for one in values)
        case VrKind.TAG:
            field = b"".join(_encoded_tag(one, little_endian) for one in values)
        case VrKind.NUMBER:
            field = _encoded_numbers(rule, values, little_endian)
        case VrKind.SEQUENCE:
            raise _no_sequence()
    return field + rule.padding if len(field) % 2 else field


# -- text ------------------------------------------------------------------------------


def _decoded_text(rule: VrRule, data: bytes, sets: CharacterSets) -> tuple[ElementValue, ...]:
    extended = rule.repertoire is Repertoire.EXTENDED
    # Escape sequences are for the extended repertoire only (PS3.5 6.1.2.2).
    text = decode_text(data, sets, rule.vr) if extended else str(data, "latin-1")
    parts = text.split("\\") if rule.multiple else [text]
    trimmed = [
        part.strip(_PADDING) if rule.leading_space_is_padding else part.rstrip(_PADDING)
        for part in parts
    ]
    if trimmed == [""]:
        return ()
    if rule.vr is VR.IS:
        return tuple(_integer(part) for part in trimmed)
    if rule.vr is VR.DS:
        return tuple(_decimal(part) for part in trimmed)
    return tuple(trimmed)


def _integer(text: str) -> int | None:
    if not text:
        return None
    if _INTEGER.fullmatch(text) is None:
        raise _unfit(VR.IS.rule, "holds whole numbers, and this is none")
    return int(text.partition(".")[0])


def _decimal(text: str) -> Decimal | None:
    if not text:
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise _unfit(VR.DS.rule, "holds decimal numbers, and this is none")
    return Decimal(text)


def _encoded_text(
    rule: VrRule, values: Sequence[ElementValue | TagLike], sets: CharacterSets
) -> bytes:
    texts = [_text_of(rule, value) for value in values]
    if rule.multiple and any("\\" in text for text in texts):
        raise _unfit(rule, "cannot hold a backslash, which separates values")
    text = "\\".join(texts)
    if rule.repertoire is Repertoire.EXTENDED:
        return encode_text(text, sets, rule.vr)
    if text.isascii():
        return text.encode("ascii")
    raise PacsException(
        ErrorCode.ENCODE_FAILED,
        f"{rule.vr} has the default repertoire only (PS3.5 6.1.1)",
        vr=str(rule.vr),
    )


def _text_of(rule: VrRule, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _unfit(rule, f"holds text, and not {type(value).__name__}")
    if rule.vr is VR.IS and math.isfinite(value) and value == int(value):
        return str(int(value))
    if rule.vr is VR.DS and math.isfinite(value):
        return decimal_text(value)
    raise _unfit(rule, "cannot hold this number")


# -- binary ----------------------------------------------------------------------------


def _encoded_numbers(
    rule: VrRule, values: Sequence[ElementValue | TagLike], little_endian: bool
) -> bytes:
    order = "<" if little_endian else ">"
    try:
        return struct.pack(f"{order}{len(values)}{rule.number_format}", *values)
    except (struct.error, OverflowError, TypeError) as exc:
        raise _unfit(rule, f"cannot hold this: {exc}") from None


def _encoded_tag(value: object, little_endian: bool) -> bytes:
    tag = DicomTag.of(value)  # type: ignore[arg-type]  # what is no tag is refused there
    return struct.pack("<HH" if little_endian else ">HH", tag.group, tag.element)


def _encoded_bytes(rule: VrRule, value: object, little_endian: bool) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _unfit(rule, f"holds bytes, and not {type(value).__name__}")
    data = bytes(value)
    if len(data) % rule.width:
        raise _unfit(rule, f"needs whole words of {rule.width} bytes, and {len(data)} are none")
    return _in_order(rule, data, little_endian)


def _in_order(rule: VrRule, data: bytes, little_endian: bool) -> bytes:
    """Turn words from little endian to an order, or from that to little endian."""
    if little_endian or rule.swap_width < 2:
        return data
    return swapped(data, rule.swap_width)


def _unfit(rule: VrRule, what: str) -> PacsException:
    return PacsException(ErrorCode.VALUE_CONVERSION_FAILED, f"{rule.vr} {what}", vr=str(rule.vr))


def _no_sequence() -> PacsException:
    return PacsException(
        ErrorCode.INVALID_VR, "the items of a sequence are data sets: decode or encode those"
    )
