"""Whether single values keep to the rules of their VR (PS3.5 6.2, Table 6.2-1).

Reasons never repeat the value: it may be patient data, and reasons end up in logs.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.value_formats import FORMATS, RANGES
from pacs_sdk.core.vr import VR, LengthUnit, Repertoire, VrKind, VrRule

__all__ = ["FindingKind", "ValueContext", "ValueFault", "validate_value", "values_in"]

_WILD_CARDS: Final = "*?"
_WILD_CARD_VRS: Final = frozenset(
    (VR.AE, VR.CS, VR.LO, VR.LT, VR.PN, VR.SH, VR.ST, VR.UC, VR.UR, VR.UT)
)
"""The VRs that wild card matching is for (PS3.4 C.2.2.2.4)."""

_NO_VALUE: Final = '""'
"""What a key has that matches attributes without value (PS3.4 C.2.2.2.7)."""


class ValueContext(enum.StrEnum):
    """What a value is for, which decides the rules it has to keep."""

    DATA_SET = "data set"
    """It is what an attribute says."""
    QUERY = "query"
    """It is a key to match: also ranges of DA, TM and DT, wild cards, lists of UIDs, and
    ``""`` for attributes without value (PS3.4 C.2.2.2)."""


class FindingKind(enum.StrEnum):
    """Which rule a value breaks."""

    LENGTH = "length"
    """Longer than the VR allows, or not of its fixed length."""
    REPERTOIRE = "repertoire"
    """A character that the VR does not allow."""
    FORMAT = "format"
    """Not written the way the VR demands, or no such date, time or number."""
    MULTIPLICITY = "multiplicity"
    """More or fewer values than the VR or the dictionary allows."""
    ODD_LENGTH = "odd length"
    """A value field with an odd number of bytes (PS3.5 7.1.1)."""


@attrs.frozen
class ValueFault:
    """One way in which a value breaks the rules of its VR."""

    kind: FindingKind
    """Which rule."""
    reason: str
    """What is wrong, in words that don't repeat the value."""


def validate_value(
    vr: VR | str, value: object, context: ValueContext = ValueContext.DATA_SET
) -> tuple[ValueFault, ...]:
    """Check the value of an element against its VR (PS3.5 Table 6.2-1).

    Args:
        vr: The VR.
        value: One value, a list of them, or text in which backslashes separate several
            where the VR has that; ``None`` and empty text are an element without value.
        context: Whether it is the value of an attribute or a key of a query.

    Returns:
        What is wrong, nothing for a value that keeps to the rules. How many values the
        attribute may have is not known here; ``validate_dataset`` checks that too.

    Raises:
        ValueError: There is no such VR.
    """
    chosen = VR(vr)
    rule = chosen.rule
    values = values_in(chosen, value)
    faults: list[ValueFault] = []
    if len(values) > 1 and not rule.multiple and rule.kind is not VrKind.SEQUENCE:
        faults.append(
            ValueFault(FindingKind.MULTIPLICITY, f"{chosen} has one value and not {len(values)}")
        )
    is_key = context is ValueContext.QUERY and rule.kind is VrKind.TEXT
    check = _check_key if is_key else _CHECKS[rule.kind]
    for one in values:
        faults += check(rule, one)
    return tuple(dict.fromkeys(faults))


def values_in(vr: VR, value: object) -> tuple[object, ...]:
    """Tell the values of an element apart.

    Args:
        vr: Its VR, which decides whether a backslash separates values.
        value: As pydicom or a user holds it: one, a list, or ``None``.
    """
    if value is None or (isinstance(value, str | bytes | bytearray) and not value):
        return ()
    if isinstance(value, str) and vr.rule.multiple:
        return tuple(value.split("\\"))
    if isinstance(value, str | bytes | bytearray | memoryview):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) else (value,)


# -- one value of each kind ------------------------------------------------------------


def _check_text(rule: VrRule, value: object) -> list[ValueFault]:
    if value is None:
        return []
    text = str(value)
    faults = _length_faults(rule, text, rule.max_length)
    strange = _strange_characters(rule, text)
    if strange:
        faults.append(strange)
    elif text and rule.vr in FORMATS:
        faults += _format_faults(FORMATS[rule.vr], text)
    return faults


def _check_key(rule: VrRule, value: object) -> list[ValueFault]:
    """Check text that a query gives for matching (PS3.4 C.2.2.2)."""
    text = "" if value is None else str(value)
    if text.rstrip(" ") == _NO_VALUE:
        return []
    if rule.vr in RANGES:
        longest, check = RANGES[rule.vr]
        too_long = _length_faults(attrs.evolve(rule, fixed_length=False), text, longest)
        strange = _strange_characters(rule, text.replace("-", ""))
        if too_long or strange:
            return [*too_long, *((strange,) if strange else ())]
        return _format_faults(check, text) if text else []
    if rule.vr in _WILD_CARD_VRS and any(one in text for one in _WILD_CARDS):
        # Of any length: what it stands for may be shorter (PS3.4 C.2.2.2).
        strange = _strange_characters(rule, re.sub(r"[*?]", "", text))
        if strange:
            return [strange]
        return _format_faults(FORMATS[VR.PN], text) if rule.vr is VR.PN else []
    return _check_text(rule, text)


def _format_faults(check: Callable[[str], str], text: str) -> list[ValueFault]:
    reason = check(text)
    return [ValueFault(FindingKind.FORMAT, reason)] if reason else []


def _length_faults(rule: VrRule, text: str, longest: int | None) -> list[ValueFault]:
    if longest is None or not text:
        return []
    parts = text.split("=") if rule.vr is VR.PN else [text]
    length = max(len(part) for part in parts)
    if rule.length_unit is LengthUnit.BYTES and not text.isascii():
        length = len(text.encode("utf-8", errors="replace"))
    what = "component group" if rule.vr is VR.PN else "value"
    unit = rule.length_unit.value
    if length > longest:
        return [ValueFault(FindingKind.LENGTH, f"{what} of {length} {unit}, at most {longest}")]
    if rule.fixed_length and length != longest:
        return [ValueFault(FindingKind.LENGTH, f"value of {length} {unit}, not {longest}")]
    return []


_ALLOWED: Final = {
    VR.AS: r"0-9DWMY",
    VR.CS: r"A-Z0-9 _",
    VR.DA: r"0-9",
    VR.DS: r"0-9+\-Ee. ",
    VR.DT: r"0-9+\-. ",
    VR.IS: r"0-9+\- ",
    VR.TM: r"0-9. ",
    VR.UI: r"0-9.",
    VR.UR: r"A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=% ",
}
"""The characters of VRs that allow but a few of the default repertoire."""

_DEFAULT_ALLOWED: Final = r"\x20-\x5b\x5d-\x7e"
"""ISO-IR 6 without control characters and backslash (PS3.5 6.1.1)."""


def _forbidden(rule: VrRule) -> re.Pattern[str]:
    """Make the pattern of characters that the VR may not have."""
    if rule.repertoire is Repertoire.DEFAULT:
        return re.compile(f"[^{_ALLOWED.get(rule.vr, _DEFAULT_ALLOWED)}]")
    controls = "".join(
        re.escape(chr(code))
        for code in (*range(0x20), *range(0x7F, 0xA0))
        if not (rule.control_characters and chr(code) in "\t\n\f\r")
    )
    return re.compile(f"[{controls}\ufffd{'' if not rule.multiple else chr(92) * 2}]")


_FORBIDDEN: Final = {
    vr: _forbidden(vr.rule) for vr in VR if vr.rule.repertoire is not Repertoire.NONE
}


def _strange_characters(rule: VrRule, text: str) -> ValueFault | None:
    """Name the code of the first character that is not allowed, and nothing more of it."""
    found = _FORBIDDEN[rule.vr].search(text)
    if found is None:
        return None
    if found[0] == "\ufffd":
        what = "bytes that its character set does not have"
    else:
        what = f"the character U+{ord(found[0]):04X}"
    return ValueFault(FindingKind.REPERTOIRE, f"{rule.vr} may not have {what}")


def _check_number(rule: VrRule, value: object) -> list[ValueFault]:
    whole = rule.number_format not in "fd"
    if isinstance(value, str | bytes) or value is None:
        return [ValueFault(FindingKind.FORMAT, f"{rule.vr} holds binary numbers, not text")]
    try:
        struct.pack("<" + rule.number_format, value)
    except (struct.error, OverflowError, TypeError):
        kind = "whole number" if whole else "number"
        return [
            ValueFault(
                FindingKind.FORMAT, f"not a {kind} that {rule.width} bytes of {rule.vr} hold"
            )
        ]
    return []


def _check_bytes(rule: VrRule, value: object) -> list[ValueFault]:
    if not isinstance(value, bytes | bytearray | memoryview):
        return [ValueFault(FindingKind.FORMAT, f"{rule.vr} holds bytes")]
    length = memoryview(value).nbytes
    if rule.width > 1 and length % rule.width:
        return [
            ValueFault(
                FindingKind.LENGTH,
                f"{length} bytes are not a multiple of {rule.width}, as {rule.vr}",
            )
        ]
    return []


def _check_tag(rule: VrRule, value: object) -> list[ValueFault]:
    try:
        DicomTag.of(value)  # type: ignore[arg-type]  # what is no tag is refused there
    except PacsException:
        return [ValueFault(FindingKind.FORMAT, f"{rule.vr} holds tags")]
    return []


def _check_nothing(rule: VrRule, value: object) -> list[ValueFault]:
    """Items are data sets, whose elements are checked one by one."""
    del rule, value
    return []


_CHECKS: Final[dict[VrKind, Callable[[VrRule, object], list[ValueFault]]]] = {
    VrKind.TEXT: _check_text,
    VrKind.NUMBER: _check_number,
    VrKind.BYTES: _check_bytes,
    VrKind.TAG: _check_tag,
    VrKind.SEQUENCE: _check_nothing,
}
