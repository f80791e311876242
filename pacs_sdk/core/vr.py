"""Value representations (PS3.5 6.2, Table 6.2-1)."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["VR", "VrKind"]


class VrKind(enum.Enum):
    """What the values of a VR are made of."""

    TEXT = "text"
    NUMBER = "number"
    BYTES = "bytes"
    TAG = "tag"
    SEQUENCE = "sequence"


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
    def kind(self) -> VrKind:
        """What its values are made of."""
        return _KINDS.get(self, VrKind.TEXT)

    @property
    def has_long_length(self) -> bool:
        """Whether the explicit header has 32 bits of length, after two reserved bytes.

        PS3.5 7.1.2, Tables 7.1-1 and 7.1-2.
        """
        return self in _LONG_LENGTH

    @property
    def padding(self) -> bytes:
        """The byte that makes an odd value even: NUL for UI and bytes, else a space."""
        return b" " if self.kind is VrKind.TEXT and self is not VR.UI else b"\0"

    @property
    def value_width(self) -> int:
        """Bytes a single binary number takes; 0 for VRs that are not binary numbers."""
        return _WIDTHS.get(self, 0)


_KINDS: Final = (
    dict.fromkeys((VR.FL, VR.FD, VR.SL, VR.SS, VR.SV, VR.UL, VR.US, VR.UV), VrKind.NUMBER)
    | dict.fromkeys((VR.OB, VR.OD, VR.OF, VR.OL, VR.OV, VR.OW, VR.UN), VrKind.BYTES)
    | {VR.AT: VrKind.TAG, VR.SQ: VrKind.SEQUENCE}
)

_LONG_LENGTH: Final = frozenset(
    (VR.OB, VR.OD, VR.OF, VR.OL, VR.OV, VR.OW, VR.SQ, VR.SV, VR.UC, VR.UN, VR.UR, VR.UT, VR.UV)
)

_WIDTHS: Final = {
    VR.AT: 4,
    VR.FL: 4,
    VR.FD: 8,
    VR.SL: 4,
    VR.SS: 2,
    VR.SV: 8,
    VR.UL: 4,
    VR.US: 2,
    VR.UV: 8,
}
