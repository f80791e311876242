"""Value representations: one rule for each (PS3.5 6.2, Table 6.2-1; 7.1.2; 7.3).

``VR.LO.rule`` is the row of the table; the properties of :class:`VR` are short ways to
what is asked for most. Reading, writing, automatic VRs and validation all go by it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

__all__ = ["VR", "VR_RULES", "LengthUnit", "Repertoire", "VrKind", "VrRule"]


class VrKind(enum.Enum):
    """What the values of a VR are made of."""

    TEXT = "text"
    NUMBER = "number"
    BYTES = "bytes"
    TAG = "tag"
    SEQUENCE = "sequence"


class LengthUnit(enum.Enum):
    """What the longest length of one value counts."""

    BYTES = "bytes"
    CHARACTERS = "characters"
    """As in a reader's eye: whatever bytes a character takes, escape sequences uncounted."""


class Repertoire(enum.Enum):
    """Which characters a value may consist of (PS3.5 6.1)."""

    NONE = "none"
    """The value is no text."""
    DEFAULT = "default"
    """The default repertoire ISO-IR 6, or the few characters of it that the VR allows."""
    EXTENDED = "extended"
    """What Specific Character Set (0008,0005) names (PS3.5 6.1.2)."""


class VR(enum.StrEnum):
    """The 34 value representations; each equals its two-letter code."""

    AE = "AE"
    AS = "AS"
    AT = "AT"
    CS = "CS"
    DA = "DA"
    DS = "DS"
    DT = "DT"
    FL = "FL"
    FD = "FD"
    IS = "IS"
    LO = "LO"
    LT = "LT"
    OB = "OB"
    OD = "OD"
    OF = "OF"
    OL = "OL"
    OV = "OV"
    OW = "OW"
    PN = "PN"
    SH = "SH"
    SL = "SL"
    SQ = "SQ"
    SS = "SS"
    ST = "ST"
    SV = "SV"
    TM = "TM"
    UC = "UC"
    UI = "UI"
    UL = "UL"
    UN = "UN"
    UR = "UR"
    US = "US"
    UT = "UT"
    UV = "UV"

    @property
    def rule(self) -> VrRule:
        """The row of PS3.5 Table 6.2-1."""
        return VR_RULES[self]

    @property
    def kind(self) -> VrKind:
        """What its values are made of."""
        return VR_RULES[self].kind

    @property
    def has_long_length(self) -> bool:
        """Whether the explicit header has 32 bits of length, after two reserved bytes.

        PS3.5 7.1.2, Tables 7.1-1 and 7.1-2.
        """
        return VR_RULES[self].long_header

    @property
    def padding(self) -> bytes:
        """The byte that makes an odd value even: NUL for UI and bytes, else a space."""
        return VR_RULES[self].padding

    @property
    def value_width(self) -> int:
        """Bytes a single binary number takes; 0 for VRs that are not binary numbers."""
        rule = VR_RULES[self]
        return rule.width if rule.kind in (VrKind.NUMBER, VrKind.TAG) else 0


@attrs.frozen
class VrRule:
    """One row of PS3.5 Table 6.2-1."""

    vr: VR
    """The VR it is about."""
    name: str
    """The name in the table."""
    kind: VrKind
    """What the values are made of."""
    max_length: int | None
    """The longest single value (for PN: component group), in ``length_unit``; ``None``
    where the table sets none and the transfer syntax or the length field decides."""
    length_unit: LengthUnit = LengthUnit.BYTES
    """What ``max_length`` counts."""
    fixed_length: bool = False
    """Whether each value has exactly ``max_length``."""
    repertoire: Repertoire = Repertoire.NONE
    """Which characters it may have."""
    multiple: bool = False
    """Whether an element can have several values: text is separated by backslashes,
    binary numbers follow one another. Where not, a backslash is a character (PS3.5 6.4)."""
    control_characters: bool = False
    """Whether TAB, LF, FF and CR are allowed in the text."""
    leading_space_is_padding: bool = False
    """Whether spaces before the text mean nothing, as those behind it."""
    padding: bytes = b"\0"
    """The byte that makes a value field of odd length even."""
    width: int = 0
    """Bytes of one binary number or word; 0 for text and sequences."""
    number_format: str = ""
    """The letter of a binary number for :mod:`struct`; empty for anything else."""
    long_header: bool = False
    """Whether an explicit header has 32 bits of length (PS3.5 7.1.2)."""

    @property
    def swap_width(self) -> int:
        """Bytes that change places between the byte orders (PS3.5 7.3).

        A tag is a pair of 16-bit numbers; 1 and 0 mean that nothing is swapped.
        """
        return 2 if self.kind is VrKind.TAG else self.width

    @property
    def max_field_bytes(self) -> int:
        """The longest value field that an explicit header can declare, in bytes.

        An even number of whole words; 32 bits of ones mean an undefined length
        (PS3.5 7.1.2).
        """
        longest = 0xFFFFFFFE if self.long_header else 0xFFFE
        return longest - longest % max(self.width, 2)


_BYTES: Final = LengthUnit.BYTES
_CHARACTERS: Final = LengthUnit.CHARACTERS


def _ascii(  # the columns of the table
    vr: VR, name: str, longest: int, *, fixed: bool = False, trimmed: bool = False
) -> VrRule:
    """Make the row of short text in the default repertoire."""
    return VrRule(
        vr,
        name,
        VrKind.TEXT,
        longest,
        _BYTES,
        fixed,
        Repertoire.DEFAULT,
        multiple=True,
        leading_space_is_padding=trimmed,
        padding=b"\0" if vr is VR.UI else b" ",
    )


def _text(
    vr: VR,
    name: str,
    longest: int,
    unit: LengthUnit = _CHARACTERS,
    *,
    multiple: bool = True,
    trimmed: bool = False,
) -> VrRule:
    """Make the row of text in the repertoire of Specific Character Set, or of UR."""
    return VrRule(
        vr,
        name,
        VrKind.TEXT,
        longest,
        unit,
        repertoire=Repertoire.DEFAULT if vr is VR.UR else Repertoire.EXTENDED,
        multiple=multiple,
        control_characters=vr in (VR.LT, VR.ST, VR.UT),
        leading_space_is_padding=trimmed,
        padding=b" ",
        long_header=vr in (VR.UC, VR.UR, VR.UT),
    )


def _number(vr: VR, name: str, width: int, letter: str) -> VrRule:
    """Make the row of binary numbers."""
    return VrRule(
        vr,
        name,
        VrKind.TAG if vr is VR.AT else VrKind.NUMBER,
        width,
        fixed_length=True,
        multiple=True,
        width=width,
        number_format=letter,
        long_header=vr in (VR.SV, VR.UV),
    )


def _words(vr: VR, name: str, width: int, longest: int | None = None) -> VrRule:
    """Make the row of bytes or of words whose meaning lies elsewhere."""
    return VrRule(vr, name, VrKind.BYTES, longest, width=width, long_header=True)


_ROWS: Final = (
    _ascii(VR.AE, "Application Entity", 16, trimmed=True),
    _ascii(VR.AS, "Age String", 4, fixed=True),
    _number(VR.AT, "Attribute Tag", 4, ""),
    _ascii(VR.CS, "Code String", 16, trimmed=True),
    _ascii(VR.DA, "Date", 8, fixed=True),
    _ascii(VR.DS, "Decimal String", 16, trimmed=True),
    _ascii(VR.DT, "Date Time", 26),
    _number(VR.FL, "Floating Point Single", 4, "f"),
    _number(VR.FD, "Floating Point Double", 8, "d"),
    _ascii(VR.IS, "Integer String", 12, trimmed=True),
    _text(VR.LO, "Long String", 64, trimmed=True),
    _text(VR.LT, "Long Text", 10240, multiple=False),
    _words(VR.OB, "Other Byte", 1),
    _words(VR.OD, "Other Double", 8, 2**32 - 8),
    _words(VR.OF, "Other Float", 4, 2**32 - 4),
    _words(VR.OL, "Other Long", 4),
    _words(VR.OV, "Other 64-bit Very Long", 8),
    _words(VR.OW, "Other Word", 2),
    _text(VR.PN, "Person Name", 64),
    _text(VR.SH, "Short String", 16, trimmed=True),
    _number(VR.SL, "Signed Long", 4, "i"),
    VrRule(VR.SQ, "Sequence of Items", VrKind.SEQUENCE, None, long_header=True),
    _number(VR.SS, "Signed Short", 2, "h"),
    _text(VR.ST, "Short Text", 1024, multiple=False),
    _number(VR.SV, "Signed 64-bit Very Long", 8, "q"),
    _ascii(VR.TM, "Time", 14),
    _text(VR.UC, "Unlimited Characters", 2**32 - 2, _BYTES),
    _ascii(VR.UI, "Unique Identifier (UID)", 64),
    _number(VR.UL, "Unsigned Long", 4, "I"),
    _words(VR.UN, "Unknown", 1),
    _text(
        VR.UR,
        "Universal Resource Identifier or Universal Resource Locator (URI/URL)",
        2**32 - 2,
        _BYTES,
        multiple=False,
    ),
    _number(VR.US, "Unsigned Short", 2, "H"),
    _text(VR.UT, "Unlimited Text", 2**32 - 2, _BYTES, multiple=False),
    _number(VR.UV, "Unsigned 64-bit Very Long", 8, "Q"),
)

VR_RULES: Final[Mapping[VR, VrRule]] = MappingProxyType({row.vr: row for row in _ROWS})
"""PS3.5 Table 6.2-1: the rule of each of the 34 VRs, in the table's order."""
