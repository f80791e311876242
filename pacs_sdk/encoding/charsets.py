"""Decoding of text by Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1).

Text is never a reason to lose an instance: a wrong character set or undecodable bytes
give replacement characters, not an error.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, python_encoding

__all__ = ["DEFAULT_ENCODINGS", "decode_text", "python_encodings"]

_DEFAULT: Final = "iso8859"
"""Latin-1: a superset of the default repertoire ISO-IR 6 that decodes any byte."""

DEFAULT_ENCODINGS: Final = (_DEFAULT,)
"""The encodings of a data set without Specific Character Set."""

_ESCAPE: Final = b"\x1b"
_FRAGMENTS: Final = re.compile(rb"\x1b?[^\x1b]*", re.DOTALL)
_DELIMITERS: Final = re.compile(rb"[\\^=\r\n\t\f]")
_KEEPS_ITS_ESCAPES: Final = frozenset(("iso2022_jp", "iso2022_jp_2"))
"""Python's decoders for these read the escape sequences themselves."""


@functools.lru_cache(maxsize=256)
def python_encodings(specific_character_set: bytes) -> tuple[str, ...]:
    """Name Python's encodings for a value of Specific Character Set (0008,0005).

    Args:
        specific_character_set: The undecoded value; backslashes separate several.

    Returns:
        At least one encoding. An unknown term stands for Latin-1; common misspellings
        (``ISO-IR 100``, ``ISO_2022_IR_87``) are understood.
    """
    terms = [term.strip(" \0") for term in specific_character_set.decode("latin-1").split("\\")]
    if terms[0] in STAND_ALONE_ENCODINGS:
        return (python_encoding[terms[0]],)
    extensions = [term for term in terms[1:] if term not in STAND_ALONE_ENCODINGS]
    return tuple(_encoding_of(term) for term in (terms[0], *extensions))


def _encoding_of(term: str) -> str:
    known = python_encoding.get(term)
    if known is not None:
        return known
    spelt = re.sub(r"[\W_]+", " ", term)
    for prefix, standard in (("ISO IR ", "ISO_IR "), ("ISO 2022 IR ", "ISO 2022 IR ")):
        if spelt.startswith(prefix):
            return python_encoding.get(standard + spelt.removeprefix(prefix), _DEFAULT)
    return _DEFAULT


def decode_text(value: bytes, encodings: tuple[str, ...]) -> str:
    """Decode a text value, with code extensions (PS3.5 6.1.2.5); padding is kept.

    Args:
        value: The encoded value, of one or several components or values.
        encodings: From :func:`python_encodings`.
    """
    if _ESCAPE not in value:
        return value.decode(encodings[0], errors="replace")
    return "".join(_decode_fragment(part, encodings) for part in _FRAGMENTS.findall(value))


def _decode_fragment(fragment: bytes, encodings: tuple[str, ...]) -> str:
    """Decode what lies between two escape sequences; a delimiter resets (6.1.2.5.3)."""
    first = encodings[0]
    if not fragment.startswith(_ESCAPE):
        return fragment.decode(first, errors="replace")
    width = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(fragment[:width])
    if encoding is None:
        return fragment.decode(first, errors="replace")
    if encoding in _KEEPS_ITS_ESCAPES:
        return fragment.decode(encoding, errors="replace")
    text = fragment[width:]
    delimiter = _DELIMITERS.search(text)
    cut = len(text) if delimiter is None else delimiter.start()
    return text[:cut].decode(encoding, errors="replace") + text[cut:].decode(
        first, errors="replace"
    )
