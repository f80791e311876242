"""Values that surely keep to the rules of their VR, told at a glance.

Nearly all values of nearly all data sets are right, and saying what is wrong with one
takes far longer than seeing that nothing is. So each value is first held against one
pattern, which accepts less than PS3.5 Table 6.2-1 does and nothing more; only what it
doesn't accept is looked into. A property test keeps it so.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from pydicom.valuerep import PersonName

from pacs_sdk.core.vr import VR, VrKind

__all__ = ["plain_field_count", "plain_value_count"]

_DAY: Final = r"(?!0000)[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8])"
_MINUTE: Final = r"(?:[01][0-9]|2[0-3])[0-5][0-9]"
_SECOND: Final = r"[0-5][0-9](?:\.[0-9]{1,6})?"
_NAME: Final = r"[ -<>-\[\]_-~]"
"""Characters of a name component: without backslash, ``=`` and ``^``."""


def _at_most(count: int, pattern: str) -> str:
    return rf"(?=[^\\]{{0,{count}}}(?:\\|\Z)){pattern}"


_ONE: Final = {
    VR.AE: r"[!-\[\]-~][ -\[\]-~]{0,15}",
    VR.AS: r"[0-9]{3}[DWMY]",
    VR.CS: r"[A-Z0-9_ ]{0,16}",
    VR.DA: _DAY,
    VR.DS: _at_most(16, r" ?[+-]?[0-9]+(?:\.[0-9]*)?(?:[Ee][+-]?[0-9]+)? ?"),
    VR.DT: rf"{_DAY}(?:{_MINUTE}(?:{_SECOND})?)?",
    VR.IS: r" ?[+-]?[0-9]{1,9} ?",
    VR.LO: r"[ -\[\]-~]{0,64}",
    VR.LT: r"[ -~\t\n\f\r]{0,10240}",
    VR.PN: _at_most(64, rf"(?:{_NAME}*\^){{0,4}}{_NAME}*"),
    VR.SH: r"[ -\[\]-~]{0,16}",
    VR.ST: r"[ -~\t\n\f\r]{0,1024}",
    VR.TM: rf"{_MINUTE}(?:{_SECOND})?",
    VR.UC: r"[ -\[\]-~]*",
    VR.UI: _at_most(64, r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+"),
    VR.UR: r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]+",
    VR.UT: r"[ -~\t\n\f\r]*",
}
"""One value without padding, in ISO-IR 6."""


def _whole(vr: VR, padding: str) -> str:
    several = rf"(?:\\{_ONE[vr]})*" if vr.rule.multiple else ""
    return rf"{_ONE[vr]}{several}{padding}"


_VALUE: Final = {vr: re.compile(one).fullmatch for vr, one in _ONE.items()}
_TEXT: Final = {vr: re.compile(_whole(vr, "")).fullmatch for vr in _ONE}
_FIELD: Final = {
    str(vr): re.compile(_whole(vr, r"\0?" if vr is VR.UI else " ?").encode()).fullmatch
    for vr in _ONE
}
_MULTIPLE: Final = frozenset(str(vr) for vr in _ONE if vr.rule.multiple)
_WIDTH: Final = {str(vr): vr.rule.width for vr in VR if vr.kind in (VrKind.NUMBER, VrKind.TAG)}
_WORD: Final = {str(vr): vr.rule.width for vr in VR if vr.kind is VrKind.BYTES}
_PADDING: Final = (b" ", b"\0")
_PACK: Final = {
    vr: struct.Struct(f"<{vr.rule.number_format}").pack for vr in VR if vr.kind is VrKind.NUMBER
}


def plain_field_count(vr: str, data: bytes) -> int | None:
    """Return how many values a field as read has, if they surely keep to the rules.

    Args:
        vr: The VR.
        data: The value field, padding included, in whatever byte order or character set.

    Returns:
        The number of values; 1 for bytes. ``None`` where it takes a closer look.
    """
    if not data:
        return 0
    if len(data) & 1:
        return None
    accepts = _FIELD.get(vr)
    if accepts is not None:
        if accepts(data) is None or data in _PADDING:
            return None
        return data.count(b"\\") + 1 if vr in _MULTIPLE else 1
    width = _WIDTH.get(vr)
    if width is not None:
        count, rest = divmod(len(data), width)
        return None if rest else count
    word = _WORD.get(vr)
    return None if word is None or len(data) % word else 1


def plain_value_count(vr: VR, value: object) -> int | None:
    """Return how many values an element has, if they surely keep to the rules.

    Args:
        vr: The VR.
        value: As pydicom holds it: one value, a list, or nothing.

    Returns:
        As :func:`plain_field_count`.
    """
    if value is None or value in ("", b""):
        return 0
    kind = vr.kind
    if kind is VrKind.TEXT:
        return _plain_text_count(vr, value)
    if kind is VrKind.BYTES:
        return 1 if isinstance(value, bytes) and len(value) % vr.rule.width == 0 else None
    if kind is not VrKind.NUMBER:
        return None
    values = value if isinstance(value, Sequence) else (value,)
    try:
        for one in values:
            _PACK[vr](one)
    except (struct.error, OverflowError, TypeError):
        return None
    return len(values)


def _plain_text_count(vr: VR, value: object) -> int | None:
    if isinstance(value, str):
        if _TEXT[vr](value) is None:
            return None
        return value.count("\\") + 1 if vr.rule.multiple else 1
    accepts = _VALUE[vr]
    if isinstance(value, PersonName) or not isinstance(value, Sequence):
        return 1 if accepts(str(value)) is not None else None
    return len(value) if vr.rule.multiple and all(accepts(str(one)) for one in value) else None
