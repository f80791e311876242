"""The defined terms of Specific Character Set (PS3.3 C.12.1.1.2, Tables C.12-2 to C.12-5).

A term stands for one or two *code elements* of ISO 2022: G0 is in force for the bytes
21H to 7EH, G1 for A0H to FFH. An escape sequence puts another code element in the place
of G0 or of G1 (PS3.5 6.1.2.4, 6.1.2.5)::

    ISO 2022 IR 13    G0 = ISO-IR 14 romaji    G1 = ISO-IR 13 katakana
    ISO 2022 IR 87    G0 = ISO-IR 87 kanji, two bytes a character
    ISO 2022 IR 149                            G1 = ISO-IR 149 hangul, two bytes

UTF-8, GB18030 and GBK stand alone: they are no code elements and know no escapes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

__all__ = [
    "CHARACTER_SETS",
    "CODE_ELEMENTS",
    "ESCAPE",
    "ISO_IR_6",
    "CharacterSet",
    "CodeElement",
    "character_set",
    "split_terms",
]

ESCAPE: Final = b"\x1b"


@attrs.frozen(eq=False)
class CodeElement:
    """One registered set of characters in G0 or G1; equal only to itself."""

    registration: str
    """Its number in the ISO registry: ``ISO-IR 87``."""
    escape: bytes
    """The escape sequence that designates it (PS3.3 Tables C.12-3 and C.12-4)."""
    codec: str
    """The Python codec that has it, where bytes of G1 have their high bit set."""
    in_g1: bool = True
    """Whether it takes the place of G1 and not of G0."""
    two_bytes: bool = False
    """Whether a character takes two bytes."""
    prefix: bytes = b""
    """What the codec wants before each character."""

    @property
    def codes(self) -> Mapping[str, bytes]:
        """The graphic characters it has, each with its bytes; SPACE is not among them."""
        return _codes(self)


@functools.cache
def _codes(element: CodeElement) -> Mapping[str, bytes]:
    """Ask the codec for each position of the code table; unassigned ones are left out."""
    if element is IR_6:
        return {chr(code): bytes((code,)) for code in range(0x21, 0x7F)}
    if element is IR_14:
        return {_ROMAJI.get(code, chr(code)): bytes((code,)) for code in range(0x21, 0x7F)}
    if element.two_bytes:
        rows = range(0xA1, 0xFF)
        positions = [bytes((row, cell)) for row in rows for cell in rows]
    else:
        positions = [bytes((code,)) for code in range(0xA0, 0x100)]
    found: dict[str, bytes] = {}
    for position in positions:
        text = (element.prefix + position).decode(element.codec, errors="replace")
        if len(text) == 1 and text != "\ufffd":
            plain = position if element.in_g1 else bytes(byte & 0x7F for byte in position)
            found.setdefault(text, plain)
    return found


_ROMAJI: Final = {0x5C: "\u00a5", 0x7E: "\u203e"}
"""Where ISO-IR 14 differs from ASCII: yen sign and overline (PS3.5 H.1.1)."""

IR_6: Final = CodeElement("ISO-IR 6", b"\x1b(B", "ascii", in_g1=False)
IR_14: Final = CodeElement("ISO-IR 14", b"\x1b(J", "ascii", in_g1=False)
_IR_13: Final = CodeElement("ISO-IR 13", b"\x1b)I", "shift_jis")
_IR_87: Final = CodeElement("ISO-IR 87", b"\x1b$B", "euc_jp", in_g1=False, two_bytes=True)
_IR_159: Final = CodeElement(
    "ISO-IR 159", b"\x1b$(D", "euc_jp", in_g1=False, two_bytes=True, prefix=b"\x8f"
)
_IR_149: Final = CodeElement("ISO-IR 149", b"\x1b$)C", "euc_kr", two_bytes=True)
_IR_58: Final = CodeElement("ISO-IR 58", b"\x1b$)A", "gb2312", two_bytes=True)

_SUPPLEMENTS: Final = {
    # number: (final byte of ESC 02/13, Python codec), ISO 8859 and TIS 620
    "100": (b"A", "latin_1"),
    "101": (b"B", "iso8859_2"),
    "109": (b"C", "iso8859_3"),
    "110": (b"D", "iso8859_4"),
    "126": (b"F", "iso8859_7"),
    "127": (b"G", "iso8859_6"),
    "138": (b"H", "iso8859_8"),
    "144": (b"L", "iso8859_5"),
    "148": (b"M", "iso8859_9"),
    "203": (b"b", "iso8859_15"),
    # The 88 characters of Table C.12-2 include NO-BREAK SPACE, which Python's tis_620 lacks.
    "166": (b"T", "iso8859_11"),
}


@attrs.frozen(eq=False)
class CharacterSet:
    """One defined term; equal only to itself."""

    term: str
    """As it is written in Specific Character Set: ``ISO 2022 IR 87``."""
    pydicom_encoding: str
    """The codec that pydicom is told for it."""
    g0: CodeElement | None = None
    """What it has in G0."""
    g1: CodeElement | None = None
    """What it has in G1."""

    @property
    def stands_alone(self) -> bool:
        """Whether code extensions are switched off (PS3.3 Table C.12-5)."""
        return self.g0 is None and self.g1 is None

    @property
    def is_default(self) -> bool:
        """Whether it has no more than the default repertoire (PS3.5 6.1.1)."""
        return self.g0 is IR_6 and self.g1 is None

    @property
    def codec(self) -> str:
        """The Python codec for a value without escape sequences that starts in this set.

        What isn't in the set is read as writers mean it who use it all the same: Latin-1
        where nothing is in G1, and Shift JIS where katakana are.
        """
        if self.stands_alone:
            return self.pydicom_encoding
        return self.g1.codec if self.g1 is not None else "latin_1"

    def __str__(self) -> str:
        return self.term

    def __reduce__(self) -> tuple[Callable[[str], CharacterSet | None], tuple[str]]:
        return character_set, (self.term,)  # a copy is the same


def _table() -> Mapping[str, CharacterSet]:
    single: dict[str, tuple[str, CodeElement, CodeElement | None]] = {
        "6": ("iso8859", IR_6, None),
        "13": ("shift_jis", IR_14, _IR_13),
    }
    pydicom_names = {
        number: f"iso_ir_{number}" for number in ["126", "127", "138", "144", "148", "166"]
    }
    for number, (final, codec) in _SUPPLEMENTS.items():
        g1 = CodeElement(f"ISO-IR {number}", b"\x1b-" + final, codec)
        single[number] = (pydicom_names.get(number, codec), IR_6, g1)
    rows = [
        CharacterSet(f"{prefix} {number}", *row)
        for prefix in ("ISO_IR", "ISO 2022 IR")
        for number, row in single.items()
    ]
    rows += [
        CharacterSet("ISO 2022 IR 87", "iso2022_jp", g0=_IR_87),
        CharacterSet("ISO 2022 IR 159", "iso2022_jp_2", g0=_IR_159),
        CharacterSet("ISO 2022 IR 149", "euc_kr", g1=_IR_149),
        CharacterSet("ISO 2022 IR 58", "iso_ir_58", g1=_IR_58),
        CharacterSet("ISO_IR 192", "UTF8"),
        CharacterSet("GB18030", "GB18030"),
        CharacterSet("GBK", "GBK"),
    ]
    return MappingProxyType({row.term: row for row in rows})


CHARACTER_SETS: Final = _table()
"""Every defined term."""

ISO_IR_6: Final = CHARACTER_SETS["ISO_IR 6"]
"""The default repertoire, in force where nothing is declared."""

CODE_ELEMENTS: Final[Mapping[bytes, CodeElement]] = MappingProxyType(
    {
        element.escape: element
        for row in CHARACTER_SETS.values()
        for element in (row.g0, row.g1)
        if element is not None
    }
)
"""What each escape sequence designates."""

_SPELT_WRONG: Final = {
    "": "ISO_IR 6",
    "ISO 2022 58": "ISO 2022 IR 58",
    "ISO 2022 GBK": "GBK",
    "ISO 2022 GB18030": "GB18030",
    "UTF 8": "ISO_IR 192",
    "UTF8": "ISO_IR 192",
}
_SEPARATORS: Final = re.compile(r"[\W_]+")


@functools.lru_cache(maxsize=256)
def character_set(term: str) -> CharacterSet | None:
    """Look a term up; common misspellings (``ISO-IR 100``, ``iso_2022_ir_87``) are understood.

    Returns:
        The character set, that of ISO-IR 6 for an empty term, or ``None``.
    """
    bare = term.strip(" \0")
    if bare in CHARACTER_SETS:
        return CHARACTER_SETS[bare]
    spelt = _SEPARATORS.sub(" ", bare.upper()).strip()
    for prefix, standard in (("ISO IR ", "ISO_IR "), ("ISO 2022 IR ", "ISO 2022 IR ")):
        if spelt.startswith(prefix):
            return CHARACTER_SETS.get(standard + spelt.removeprefix(prefix))
    return CHARACTER_SETS.get(_SPELT_WRONG.get(spelt, spelt))


def split_terms(declared: bytes) -> tuple[str, ...]:
    """Return the terms in the undecoded value of Specific Character Set (0008,0005)."""
    return tuple(term.strip(" \0") for term in declared.decode("latin-1").split("\\"))
