"""Text to bytes, with code extensions (PS3.5 6.1.2.4, 6.1.2.5), and what to declare for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding.charsets.decode import Designations, delimiters_of, initial
from pacs_sdk.encoding.charsets.policy import DEFAULT_CHARACTER_SETS, CharacterSets
from pacs_sdk.encoding.charsets.terms import (
    CHARACTER_SETS,
    IR_6,
    CodeElement,
)

__all__ = ["charset_for", "encode_text"]

_CONTROLS: Final = "\t\n\f\r"
"""The control characters that text may have besides ESC (PS3.5 6.1.3)."""


def encode_text(text: str, sets: CharacterSets, vr: VR = VR.LO) -> bytes:
    """Encode a text value, or several with their backslashes; nothing is padded.

    What lies between two delimiters is written in the first declared set that has all of
    it, else in as many as it takes. Before a delimiter, a control character and the end,
    the code elements of value 1 are designated again (PS3.5 6.1.2.5.3).

    Args:
        text: The text.
        sets: From :func:`character_sets`.
        vr: It decides which characters are delimiters; see :func:`decode_text`.

    Raises:
        PacsException: ``ENCODE_FAILED`` naming the character that no declared set has.
    """
    first = sets[0]
    if first.stands_alone:
        try:
            return text.encode(first.codec)
        except UnicodeEncodeError as exc:
            raise _not_declared(text[exc.start], sets, vr) from None
    start = initial(sets)
    if start.g0 is IR_6 and text.isascii() and _STRANGE.search(text) is None:
        return text.encode("ascii")
    delimiters = _CONTROLS + delimiters_of(vr)
    parts = re.split(f"([{re.escape(delimiters)}])", text)
    encoded = bytearray()
    for number, part in enumerate(parts):
        encoded += part.encode("ascii") if number % 2 else _encoded_part(part, sets, start, vr)
    return bytes(encoded)


_STRANGE: Final = re.compile(r"[\0-\x08\x0b\x0e-\x1f\x7f]")
"""ASCII that is neither a graphic character nor one of the controls that text may have."""


def _encoded_part(part: str, sets: CharacterSets, start: Designations, vr: VR) -> bytes:
    """Encode what lies between two delimiters."""
    separates = "\\" in delimiters_of(vr)
    if not (separates and _YEN in part):
        at_once = _in_one_set(part, sets, start)
        if at_once is not None:
            return at_once
    elements = _elements(sets)
    if start.g0 is IR_6:
        elements.insert(0, IR_6)
    encoded = bytearray()
    now = start
    for character in part:
        in_force = (now.g0, now.g1 or now.g0)
        element = _first_with(character, (*in_force, *elements), start, separates)
        if element is None:
            raise _not_declared(character, sets, vr)
        if element not in in_force:
            now = now.designate(element)
            encoded += element.escape
        encoded += b" " if character == " " else element.codes[character]
    return bytes(encoded) + _return(now, start)


_YEN: Final = "\u00a5"
"""ISO-IR 14 has it at 5CH, which is the delimiter wherever values are separated."""


def _first_with(
    character: str, elements: Iterable[CodeElement], start: Designations, separates: bool
) -> CodeElement | None:
    for element in elements:
        # A space goes with G0 of value 1: not all readers know it among kanji.
        if character == " " and element is start.g0:
            return element
        code = element.codes.get(character)
        if code is not None and not (separates and code == b"\\"):
            return element
    return start.g0 if character == " " else None


def _in_one_set(part: str, sets: CharacterSets, start: Designations) -> bytes | None:
    """Encode with escape sequences at the beginning only, if a set has all of it."""
    for number, row in enumerate(sets):
        now, escapes = start, b""
        for element in (row.g0, row.g1) if number else ():
            if element is not None and element not in (now.g0, now.g1):
                now = now.designate(element)
                escapes += element.escape
        found = _in_force(part, now)
        if found is not None:
            return escapes + found + _return(now, start)
    return None


def _in_force(part: str, now: Designations) -> bytes | None:
    """Encode without an escape sequence, if what is in force has all of it."""
    g0, g1 = now.g0.codes, now.g1.codes if now.g1 is not None else {}
    space = None if now.g0.two_bytes else b" "
    encoded = bytearray()
    for character in part:
        code = g0.get(character) or g1.get(character) or (space if character == " " else None)
        if code is None:
            return None
        encoded += code
    return bytes(encoded)


def _return(now: Designations, start: Designations) -> bytes:
    """Write the escape sequences that put the code elements of value 1 in force again.

    Where value 1 has nothing in G1, what another set has put there stays until the
    delimiter ends it, as in the examples of PS3.5 Annexes I and K.
    """
    back = start.g0.escape if now.g0 is not start.g0 else b""
    if start.g1 is not None and now.g1 is not start.g1:
        back += start.g1.escape
    return back


def _not_declared(character: str, sets: CharacterSets, vr: VR) -> PacsException:
    terms = tuple(one.term for one in sets)
    return PacsException(
        ErrorCode.ENCODE_FAILED,
        f"the character U+{ord(character):04X} of a value of {vr} is in none of the declared "
        f"character sets ({', '.join(terms)}); declare another in Specific Character Set",
        vr=str(vr),
        character=f"U+{ord(character):04X}",
        character_sets=terms,
    )


_SUGGESTED: Final = tuple(
    tuple(CHARACTER_SETS[term] for term in terms)
    for terms in (
        *(("ISO_IR " + number,) for number in ["6", "100", "101", "109", "110", "148", "203"]),
        *(("ISO_IR " + number,) for number in ["144", "126", "127", "138", "166", "13"]),
        ("ISO 2022 IR 6", "ISO 2022 IR 87"),
        ("ISO 2022 IR 6", "ISO 2022 IR 149"),
        ("ISO 2022 IR 6", "ISO 2022 IR 58"),
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
    )
)
"""What :func:`charset_for` tries before UTF-8, the most widely understood first. JIS X 0212
is left out: more readers know UTF-8."""


@edge()
def charset_for(texts: Iterable[str]) -> tuple[str, ...]:
    """Find the smallest Specific Character Set that has all characters of some texts.

    A single-byte set comes before code extensions for one language, and those come
    before UTF-8.

    Args:
        texts: Single values as they will be written; a backslash counts as a character.

    Returns:
        ``Success`` with the terms to declare, none where the default repertoire is
        enough, or ``Failure`` with ``ENCODE_FAILED`` for half of a surrogate pair, which
        is in no character set, and for control characters that text may not have.
    """
    characters = set().union(*texts) - set(_CONTROLS) - {" "}
    for sets in (DEFAULT_CHARACTER_SETS, *_SUGGESTED):
        if characters <= set().union(*(one.codes for one in _elements(sets))):
            return () if sets is DEFAULT_CHARACTER_SETS else tuple(one.term for one in sets)
    utf_8 = (CHARACTER_SETS["ISO_IR 192"],)
    for character in sorted(characters):
        if _STRANGE.search(character):
            raise _not_declared(character, utf_8, VR.LO)
    encode_text("".join(sorted(characters)), utf_8)
    return (utf_8[0].term,)


def _elements(sets: CharacterSets) -> list[CodeElement]:
    return [one for row in sets for one in (row.g0, row.g1) if one is not None]
