"""The value fields of identifiers, from text as the index and queries have it."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Final

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding import CharacterSets
from pacs_sdk.encoding.charsets import encode_text

__all__ = ["value_field", "vr_of", "vr_of_value"]

_FLOATS: Final = ("f", "d")
"""How struct calls the numbers of FL and FD."""

_MAX_SHORT_LENGTH: Final = 0xFFFE
"""The longest value whose length is written in 16 bits; what a study collects is cut there."""


@functools.lru_cache(1024)
def vr_of(tag: int) -> VR:
    """Return the VR of the dictionary, of several the first; UN for what it doesn't have."""
    return VR.__members__.get(DicomTag(tag).dictionary_vr[:2], VR.UN)


def vr_of_value(vr: VR, text: str) -> VR:
    """Return the VR of a value: of those that are US or SS, the one that has it."""
    return VR.SS if vr is VR.US and "-" in text else vr


def value_field(vr: VR, text: str, sets: CharacterSets) -> bytes:
    """Encode text, values joined by a backslash, as a value field of even length.

    What the VR cannot say is left out: others have stored it so.

    Args:
        vr: The VR.
        text: The text.
        sets: The character sets that have it, where the VR is subject to them.
    """
    rule = vr.rule
    if rule.kind is VrKind.NUMBER:
        return _numbers(text, rule.number_format)
    if rule.kind is not VrKind.TEXT:
        return b""
    if text.isascii():
        value = text.encode()
    elif rule.repertoire is Repertoire.EXTENDED:
        value = encode_text(text, sets, vr)
    else:
        value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += rule.padding
    return value if vr.has_long_length else value[:_MAX_SHORT_LENGTH]


def _numbers(text: str, form: str) -> bytes:
    number: Callable[[str], float] = float if form in _FLOATS else int
    try:
        return b"".join(struct.pack(f"<{form}", number(one)) for one in text.split("\\"))
    except (struct.error, ValueError):
        return b""
