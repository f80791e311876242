"""One data set in the three native layouts, field by field: by hand from PS3.5 7.1 and 7.5.

It has text, a 16-bit and a 64-bit number, a tag, pixel words, and a sequence of
undefined length whose item, of undefined length too, holds a sequence of known length.
"""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)

__all__ = [
    "CONTENT_SEQUENCE",
    "PIXEL_DATA",
    "VECTORS",
    "Vector",
    "un_sequence",
]

CONTENT_SEQUENCE: Final = 0x0040A730
PIXEL_DATA: Final = 0x7FE00010


@attrs.frozen
class Vector:
    """The data set in one syntax."""

    syntax: TransferSyntax
    """How it is encoded."""
    fields: tuple[bytes, ...]
    """Its bytes, a field or two each."""
    raw: dict[int, bytes]
    """The value bytes of the elements that are no sequences."""

    @property
    def data(self) -> bytes:
        """The whole data set."""
        return b"".join(self.fields)

    @property
    def pixel_offset(self) -> int:
        """Where the header of Pixel Data begins."""
        return len(self.data) - self.pixel_length

    @property
    def pixel_length(self) -> int:
        """How many bytes Pixel Data takes, header included."""
        return 16 if self.syntax.explicit_vr else 12


IMPLICIT_LITTLE: Final = Vector(
    IMPLICIT_VR_LITTLE_ENDIAN,  # PS3.5 7.1.3 and Table 7.1-3; A.1
    (
        b"\x08\x00\x60\x00",  # (0008,0060) Modality
        b"\x02\x00\x00\x00" + b"CT",  # length 2
        b"\x10\x00\x10\x00",  # (0010,0010) Patient's Name
        b"\x08\x00\x00\x00" + b"Doe^Jon ",  # length 8, padded with a space (6.2, PN)
        b"\x18\x00\x2c\x60",  # (0018,602C) Physical Delta X
        b"\x08\x00\x00\x00" + b"\x00\x00\x00\x00\x00\x00\xe0\x3f",  # FD 0.5, IEEE 754
        b"\x20\x00\x65\x91",  # (0020,9165) Dimension Index Pointer
        b"\x04\x00\x00\x00" + b"\x20\x00\x32\x00",  # AT (0020,0032)
        b"\x28\x00\x10\x00",  # (0028,0010) Rows
        b"\x02\x00\x00\x00" + b"\x01\x02",  # US 0x0201
        b"\x40\x00\x30\xa7",  # (0040,A730) Content Sequence
        b"\xff\xff\xff\xff",  # undefined length (7.5.1, Table 7.5-2)
        b"\xfe\xff\x00\xe0" + b"\xff\xff\xff\xff",  # Item of undefined length
        b"\x40\x00\x68\xa1",  # (0040,A168) Concept Code Sequence
        b"\x14\x00\x00\x00",  # 20 bytes (Table 7.5-1)
        b"\xfe\xff\x00\xe0" + b"\x0c\x00\x00\x00",  # Item of 12 bytes
        b"\x08\x00\x00\x01" + b"\x04\x00\x00\x00" + b"T-1 ",  # (0008,0100) Code Value
        b"\xfe\xff\x0d\xe0" + b"\x00\x00\x00\x00",  # Item Delimitation Item
        b"\xfe\xff\xdd\xe0" + b"\x00\x00\x00\x00",  # Sequence Delimitation Item
        b"\xe0\x7f\x10\x00",  # (7FE0,0010) Pixel Data
        b"\x04\x00\x00\x00" + b"\x01\x00\x02\x00",  # OW 1, 2
    ),
    {
        0x00080060: b"CT",
        0x00100010: b"Doe^Jon ",
        0x0018602C: b"\x00\x00\x00\x00\x00\x00\xe0\x3f",
        0x00209165: b"\x20\x00\x32\x00",
        0x00280010: b"\x01\x02",
        PIXEL_DATA: b"\x01\x00\x02\x00",
    },
)

EXPLICIT_LITTLE: Final = Vector(
    EXPLICIT_VR_LITTLE_ENDIAN,  # PS3.5 7.1.2, Tables 7.1-1 and 7.1-2; A.2
    (
        b"\x08\x00\x60\x00" + b"CS" + b"\x02\x00" + b"CT",  # VR, 16-bit length, value
        b"\x10\x00\x10\x00" + b"PN" + b"\x08\x00" + b"Doe^Jon ",
        b"\x18\x00\x2c\x60" + b"FD" + b"\x08\x00" + b"\x00\x00\x00\x00\x00\x00\xe0\x3f",
        b"\x20\x00\x65\x91" + b"AT" + b"\x04\x00" + b"\x20\x00\x32\x00",
        b"\x28\x00\x10\x00" + b"US" + b"\x02\x00" + b"\x01\x02",
        b"\x40\x00\x30\xa7" + b"SQ" + b"\x00\x00" + b"\xff\xff\xff\xff",  # reserved, 32-bit length
        b"\xfe\xff\x00\xe0" + b"\xff\xff\xff\xff",  # items have no VR (7.5)
        b"\x40\x00\x68\xa1" + b"SQ" + b"\x00\x00" + b"\x14\x00\x00\x00",
        b"\xfe\xff\x00\xe0" + b"\x0c\x00\x00\x00",
        b"\x08\x00\x00\x01" + b"SH" + b"\x04\x00" + b"T-1 ",
        b"\xfe\xff\x0d\xe0" + b"\x00\x00\x00\x00",
        b"\xfe\xff\xdd\xe0" + b"\x00\x00\x00\x00",
        b"\xe0\x7f\x10\x00" + b"OW" + b"\x00\x00" + b"\x04\x00\x00\x00" + b"\x01\x00\x02\x00",
    ),
    IMPLICIT_LITTLE.raw,
)

EXPLICIT_BIG: Final = Vector(
    EXPLICIT_VR_BIG_ENDIAN,  # PS3.5 7.3; PS3.5-2016 A.3
    (
        b"\x00\x08\x00\x60" + b"CS" + b"\x00\x02" + b"CT",
        b"\x00\x10\x00\x10" + b"PN" + b"\x00\x08" + b"Doe^Jon ",
        b"\x00\x18\x60\x2c" + b"FD" + b"\x00\x08" + b"\x3f\xe0\x00\x00\x00\x00\x00\x00",
        b"\x00\x20\x91\x65" + b"AT" + b"\x00\x04" + b"\x00\x20\x00\x32",
        b"\x00\x28\x00\x10" + b"US" + b"\x00\x02" + b"\x02\x01",
        b"\x00\x40\xa7\x30" + b"SQ" + b"\x00\x00" + b"\xff\xff\xff\xff",
        b"\xff\xfe\xe0\x00" + b"\xff\xff\xff\xff",
        b"\x00\x40\xa1\x68" + b"SQ" + b"\x00\x00" + b"\x00\x00\x00\x14",
        b"\xff\xfe\xe0\x00" + b"\x00\x00\x00\x0c",
        b"\x00\x08\x01\x00" + b"SH" + b"\x00\x04" + b"T-1 ",
        b"\xff\xfe\xe0\x0d" + b"\x00\x00\x00\x00",
        b"\xff\xfe\xe0\xdd" + b"\x00\x00\x00\x00",
        b"\x7f\xe0\x00\x10" + b"OW" + b"\x00\x00" + b"\x00\x00\x00\x04" + b"\x00\x01\x00\x02",
    ),
    {
        0x00080060: b"CT",
        0x00100010: b"Doe^Jon ",
        0x0018602C: b"\x3f\xe0\x00\x00\x00\x00\x00\x00",
        0x00209165: b"\x00\x20\x00\x32",
        0x00280010: b"\x02\x01",
        PIXEL_DATA: b"\x00\x01\x00\x02",
    },
)

VECTORS: Final = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)


def un_sequence(little: bool) -> bytes:
    """Return an element of VR UN and undefined length, in an explicit data set.

    PS3.5 6.2.2, note 2: whatever the data set is, its value is a sequence in Implicit VR
    Little Endian. The element is (0009,1001) and private; its item has a Code Value.
    """
    if little:
        header = b"\x09\x00\x01\x10" + b"UN" + b"\x00\x00" + b"\xff\xff\xff\xff"
    else:
        header = b"\x00\x09\x10\x01" + b"UN" + b"\x00\x00" + b"\xff\xff\xff\xff"
    return b"".join(
        (
            header,
            b"\xfe\xff\x00\xe0" + b"\xff\xff\xff\xff",  # Item of undefined length
            b"\x08\x00\x00\x01" + b"\x04\x00\x00\x00" + b"T-1 ",  # (0008,0100), implicit VR
            b"\xfe\xff\x0d\xe0" + b"\x00\x00\x00\x00",
            b"\xfe\xff\xdd\xe0" + b"\x00\x00\x00\x00",
        )
    )
