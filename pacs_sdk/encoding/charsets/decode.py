"""Bytes to text, with code extensions (PS3.5 6.1.2.4, 6.1.2.5).

Two code elements are in force, G0 and G1. Escape sequences replace one of them; at a
delimiter or control character those of value 1 hold again (PS3.5 6.1.2.5.3).
"""

from __future__ import annotations

import functools
import re
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.charsets.policy import CharacterSets
from pacs_sdk.encoding.charsets.terms import (
    CODE_ELEMENTS,
    ESCAPE,
    IR_6,
    IR_14,
    CharacterSet,
    CodeElement,
)

__all__ = ["Designations", "decode_text", "delimiters_of", "initial"]

_SINGLE_VALUED: Final = frozenset(
    vr for vr in VR if vr.kind is VrKind.TEXT and not vr.rule.multiple
)


def delimiters_of(vr: VR) -> str:
    """Return the graphic characters that are delimiters in a VR (PS3.5 6.1.2.5.3, 6.2)."""
    if vr is VR.PN:
        return "\\^="
    return "" if vr in _SINGLE_VALUED else "\\"


@attrs.frozen(eq=False)
class Designations:
    """The code elements in force."""

    g0: CodeElement
    """For the bytes 21H to 7EH."""
    g1: CodeElement | None
    """For the bytes A0H to FFH; ``None`` where value 1 has none."""

    def designate(self, element: CodeElement) -> Designations:
        """Return what is in force after the escape sequence of a code element."""
        if element.in_g1:
            return Designations(self.g0, element)
        return Designations(element, self.g1)


@functools.lru_cache(maxsize=256)
def initial(sets: CharacterSets) -> Designations:
    """Return what is in force at the beginning of a value: that of value 1.

    A two-byte set of G0 cannot be value 1 (PS3.3 C.12.1.1.2), but some writers put it
    there; what they mean is that text begins in ISO-IR 6.
    """
    first = sets[0]
    g0 = first.g0 if first.g0 is not None and not first.g0.two_bytes else IR_6
    return Designations(g0, first.g1)


def decode_text(value: bytes, sets: CharacterSets, vr: VR = VR.LO, *, strict: bool = False) -> str:
    """Decode a text value; padding is kept.

    Args:
        value: The encoded value field, of one or several values.
        sets: From :func:`effective_character_sets`.
        vr: It decides which characters are delimiters: ``^`` and ``=`` in PN only, the
            backslash not in LT, ST and UT.
        strict: Whether bytes that the sets do not have are an error; if not, they
            become replacement characters.

    Raises:
        PacsException: ``DECODE_FAILED`` where strict.
    """
    first = sets[0]
    try:
        if not strict and (first.stands_alone or ESCAPE not in value):
            return _in_romaji(first, value.decode(first.codec, errors="replace"), vr)
        if first.stands_alone:
            return value.decode(first.codec)
        return _with_code_extensions(value, initial(sets), vr, strict)
    except UnicodeError as exc:
        start = exc.start if isinstance(exc, UnicodeDecodeError) else 0
        raise PacsException(
            ErrorCode.DECODE_FAILED,
            f"a value of {vr} has bytes that are no characters in "
            f"{', '.join(one.term for one in sets)}; name the right character set in "
            "CharacterSetPolicy(override=...), or let them be replaced",
            vr=str(vr),
            character_sets=tuple(one.term for one in sets),
            offset=start,
        ) from None


def _in_romaji(first: CharacterSet, text: str, vr: VR) -> str:
    """Put yen sign and overline where ISO-IR 14 has them; a delimiter stays one."""
    if first.g0 is not IR_14:
        return text
    return _romaji(text, vr)


_ESCAPES: Final = b"|".join(
    re.escape(escape) for escape in sorted(CODE_ELEMENTS, key=len, reverse=True)
)


@functools.lru_cache(maxsize=8)
def _parts(delimiters: str) -> re.Pattern[bytes]:
    """Match the next part of a value: its four or five kinds cover every byte.

    Each kind goes on as far as it can, so that a value is walked over once.
    """
    ends = re.escape(delimiters.encode("ascii"))
    return re.compile(
        (b"(?P<escape>" + _ESCAPES + rb")|(?P<control>[\x00-\x1f])|(?P<g1>[\x80-\xff]+)")
        + (b"|(?P<delimiter>[" + ends + b"])" if ends else b"")
        + (b"|(?P<g0>[^\\x00-\\x1f\\x80-\\xff" + ends + b"]+)")
    )


def _with_code_extensions(value: bytes, start: Designations, vr: VR, strict: bool) -> str:
    among_ascii, among_kanji = _parts(delimiters_of(vr)), _parts("")
    now = start
    texts: list[str] = []
    pos = 0
    while part := (among_kanji if now.g0.two_bytes else among_ascii).match(value, pos):
        found, pos = part.group(), part.end()
        match part.lastgroup:
            case "escape":
                now = now.designate(CODE_ELEMENTS[found])
            case "g0":
                texts.append(_g0_text(found, now.g0, vr, strict))
            case "g1":
                texts.append(_g1_text(found, now.g1, strict))
            case _ if found != ESCAPE:
                texts.append(found.decode("ascii"))
                now = start
            case _ if strict:
                raise UnicodeDecodeError("iso2022", value, part.start(), pos, "unknown escape")
            case _:
                texts.append("\x1b")
    return "".join(texts)


def _g1_text(part: bytes, element: CodeElement | None, strict: bool) -> str:
    errors = "strict" if strict else "replace"
    if element is None:
        # Nothing is in G1. Latin-1 is what most writers mean who declare nothing.
        return part.decode("ascii" if strict else "latin_1", errors)
    if element.two_bytes or element.codec != "shift_jis":
        return part.decode(element.codec, errors)
    # One at a time: the codec has two-byte characters too, which ISO-IR 13 has not.
    return "".join(bytes((byte,)).decode(element.codec, errors) for byte in part)


def _romaji(text: str, vr: VR) -> str:
    text = text.replace("~", "\u203e")
    return text.replace("\\", "\u00a5") if vr in _SINGLE_VALUED else text


_PAIRS: Final = re.compile(rb"([\x21-\x7e]+)")


def _g0_text(part: bytes, element: CodeElement, vr: VR, strict: bool) -> str:
    if element is IR_14:
        return _romaji(part.decode("ascii"), vr)
    if not element.two_bytes:
        return part.decode("ascii")
    texts = []
    for piece in _PAIRS.split(part):
        if not b"\x21" <= piece[:1] <= b"\x7e":
            texts.append(piece.decode("ascii"))
            continue
        high = bytes(byte | 0x80 for byte in piece)
        pairs = (high[at : at + 2] for at in range(0, len(high), 2))
        joined = b"".join(element.prefix + pair for pair in pairs)
        texts.append(joined.decode(element.codec, "strict" if strict else "replace"))
    return "".join(texts)
