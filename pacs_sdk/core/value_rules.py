"""Whether single values keep to the rules of their VR (PS3.5 6.2, Table 6.2-1).

Reasons never repeat the value: it may be patient data, and reasons end up in logs.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import struct
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, LengthUnit, Repertoire, VrKind, VrRule

__all__ = ["FindingKind", "ValueFault", "validate_value", "values_in"]


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


def validate_value(vr: VR | str, value: object) -> tuple[ValueFault, ...]:
    """Check the value of an element against its VR (PS3.5 Table 6.2-1).

    Args:
        vr: The VR.
        value: One value, a list of them, or text in which backslashes separate several
            where the VR has that; ``None`` and empty text are an element without value.

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
    check = _CHECKS[rule.kind]
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
    faults = _length_faults(rule, text)
    strange = _strange_characters(rule, text)
    if strange:
        faults.append(ValueFault(FindingKind.REPERTOIRE, f"{rule.vr} may not have {strange}"))
    check = _FORMATS.get(rule.vr)
    reason = "" if check is None or strange or not text else check(text)
    if reason:
        faults.append(ValueFault(FindingKind.FORMAT, reason))
    return faults


def _length_faults(rule: VrRule, text: str) -> list[ValueFault]:
    longest = rule.max_length
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


def _strange_characters(rule: VrRule, text: str) -> str:
    """Name the code of the first character that is not allowed, and nothing more of it."""
    found = _FORBIDDEN[rule.vr].search(text)
    if found is None:
        return ""
    if found[0] == "\ufffd":
        return "bytes that its character set does not have"
    return f"the character U+{ord(found[0]):04X}"


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


# -- formats of text: each returns what is wrong, or nothing ---------------------------

_AGE: Final = re.compile(r"[0-9]{3}[DWMY]")
_DATE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_CLOCK: Final = r"([01][0-9]|2[0-3])(?:([0-5][0-9])(?:([0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_TIME: Final = re.compile(rf"{_CLOCK} *")
_DATE_TIME: Final = re.compile(
    rf"([0-9]{{4}})(?:([0-9]{{2}})(?:([0-9]{{2}})(?:{_CLOCK})?)?)?([+-][0-9]{{4}})? *"
)
_DECIMAL: Final = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)? *")
_INTEGER: Final = re.compile(r" *[+-]?[0-9]{1,64} *")
_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IS_RANGE: Final = range(-(2**31), 2**31)


def _title(text: str) -> str:
    return "" if text.strip(" ") else "an AE title is more than spaces"


def _age(text: str) -> str:
    return "" if _AGE.fullmatch(text) else "an age is three digits and D, W, M or Y"


def _date(text: str) -> str:
    found = _DATE.fullmatch(text)
    if found is None:
        return "a date is eight digits, YYYYMMDD"
    return "" if _is_day(int(found[1]), int(found[2]), int(found[3])) else "there is no such date"


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _time(text: str) -> str:
    return "" if _TIME.fullmatch(text) else "a time is HHMMSS.FFFFFF, cut behind any part"


def _date_time(text: str) -> str:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return "a date time is YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut behind any part"
    if not _is_day(int(found[1]), int(found[2] or 1), int(found[3] or 1)):
        return "there is no such date"
    offset = found[7]
    if offset is not None and not _is_offset(offset):
        return "an offset from UTC lies between -1200 and +1400, and is not -0000"
    return ""


def _is_offset(offset: str) -> bool:
    """Whether it is an offset from UTC (PS3.5 Table 6.2-1, DT)."""
    hours, minutes = int(offset[1:3]), int(offset[3:])
    total = (hours * 60 + minutes) * (-1 if offset[0] == "-" else 1)
    return minutes <= 59 and -12 * 60 <= total <= 14 * 60 and offset != "-0000"


def _decimal(text: str) -> str:
    return "" if _DECIMAL.fullmatch(text) else "a decimal string is a number, as -1.5 or 1.5E-3"


def _integer(text: str) -> str:
    if _INTEGER.fullmatch(text) is None:
        return "an integer string is digits, with a sign or without"
    return "" if int(text) in _IS_RANGE else "the number takes more than 32 bits"


def _uid(text: str) -> str:
    return (
        ""
        if _UID.fullmatch(text)
        else "a UID is numbers without leading zeros, at least two, with dots between"
    )


def _uri(text: str) -> str:
    if text.startswith(" "):
        return "a URI has no leading spaces"
    bare = text.rstrip(" ")
    if " " in bare or _PERCENT.search(bare):
        return "a URI writes spaces and percent signs as %20 and %25 (RFC 3986)"
    return ""


def _person_name(text: str) -> str:
    groups = text.split("=")
    if len(groups) > 3:
        return "a person name has at most three component groups"
    if any(group.count("^") > 4 for group in groups):
        return "a component group has at most five components"
    return ""


_FORMATS: Final[dict[VR, Callable[[str], str]]] = {
    VR.AE: _title,
    VR.AS: _age,
    VR.DA: _date,
    VR.DS: _decimal,
    VR.DT: _date_time,
    VR.IS: _integer,
    VR.PN: _person_name,
    VR.TM: _time,
    VR.UI: _uid,
    VR.UR: _uri,
}
