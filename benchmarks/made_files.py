"""Large files for benchmarks, laid out directly: no library has to hold them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, part10_header

__all__ = ["element", "segmentation", "write_multi_frame"]

_LONG = (b"OB", b"OW", b"SQ", b"UN")
_UNDEFINED = 0xFFFFFFFF
_ITEM_END = b"\xfe\xff\x0d\xe0" + bytes(4)
_SEQUENCE_END = b"\xfe\xff\xdd\xe0" + bytes(4)


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Lay out an element in Explicit VR Little Endian."""
    value += b"\0" * (len(value) % 2) if vr in (b"UI", b"OB") else b" " * (len(value) % 2)
    size = len(value) if length is None else length
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, size) + value


def _sequence(tag: int, items: list[bytes], *, undefined: bool) -> bytes:
    if undefined:
        begin = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        content = b"".join(begin + item + _ITEM_END for item in items) + _SEQUENCE_END
        return element(tag, b"SQ", content, _UNDEFINED)
    content = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(one)) + one for one in items)
    return element(tag, b"SQ", content)


def _identifiers(sop_class: bytes, modality: bytes, number: int = 1) -> bytes:
    return b"".join(
        (
            element(0x00080016, b"UI", sop_class),
            element(0x00080018, b"UI", b"1.2.826.0.1.3680043.10.9999.%d" % number),
            element(0x00080020, b"DA", b"20250131"),
            element(0x00080030, b"TM", b"101500"),
            element(0x00080050, b"SH", b"A-1"),
            element(0x00080060, b"CS", modality),
            element(0x00080070, b"LO", b"Maker"),
            element(0x00080090, b"PN", b"Ref^Dr"),
            element(0x00100010, b"PN", b"Doe^Jane"),
            element(0x00100020, b"LO", b"P-1"),
            element(0x00100030, b"DA", b"19700101"),
            element(0x00100040, b"CS", b"F"),
            element(0x0020000D, b"UI", b"1.2.826.0.1.3680043.10.9999.2"),
            element(0x0020000E, b"UI", b"1.2.826.0.1.3680043.10.9999.3"),
            element(0x00200010, b"SH", b"S1"),
            element(0x00200011, b"IS", b"5"),
            element(0x00200013, b"IS", b"%d" % number),
        )
    )


def segmentation(frames: int, *, undefined: bool) -> bytes:
    """Make a file of a segmentation, 8 x 8 pixels a frame, with functional groups for each.

    Args:
        frames: How many frames.
        undefined: Whether sequences and items have undefined lengths.
    """

    def sequence(tag: int, items: list[bytes]) -> bytes:
        return _sequence(tag, items, undefined=undefined)

    def code(value: bytes, meaning: bytes) -> bytes:
        return (
            element(0x00080100, b"SH", value)
            + element(0x00080102, b"SH", b"DCM")
            + element(0x00080104, b"LO", meaning)
        )

    def group(number: int) -> bytes:
        source = (
            element(0x00081150, b"UI", b"1.2.840.10008.5.1.4.1.1.2")
            + element(0x00081155, b"UI", b"1.2.826.0.1.3680043.10.9999.7.%d" % number)
            + sequence(0x0040A170, [code(b"121322", b"Source image for processing")])
        )
        derivation = sequence(0x00082112, [source]) + sequence(
            0x00089215, [code(b"113076", b"Segmentation")]
        )
        content = element(0x00209157, b"UL", struct.pack("<3I", 1, number, 1))
        position = element(0x00200032, b"DS", b"-120.5\\-130.25\\%d.5" % number)
        segment = element(0x0062000B, b"US", struct.pack("<H", 1))
        return b"".join(
            (
                sequence(0x00089124, [derivation]),
                sequence(0x00209111, [content]),
                sequence(0x00209113, [position]),
                sequence(0x0062000A, [segment]),
            )
        )

    data = b"".join(
        (
            _identifiers(b"1.2.840.10008.5.1.4.1.1.66.4", b"SEG"),
            element(0x00280002, b"US", b"\1\0"),
            element(0x00280004, b"CS", b"MONOCHROME2"),
            element(0x00280008, b"IS", b"%d" % frames),
            element(0x00280010, b"US", b"\x08\0"),
            element(0x00280011, b"US", b"\x08\0"),
            element(0x00280100, b"US", b"\1\0"),
            element(0x00280101, b"US", b"\1\0"),
            element(0x00280102, b"US", b"\0\0"),
            element(0x00280103, b"US", b"\0\0"),
            sequence(0x52009230, [group(number) for number in range(1, frames + 1)]),
            element(0x7FE00010, b"OB", bytes(frames * 8)),
        )
    )
    header = part10_header(
        "1.2.840.10008.5.1.4.1.1.66.4",
        "1.2.826.0.1.3680043.10.9999.1",
        EXPLICIT_VR_LITTLE_ENDIAN.uid,
    )
    return header + data


def write_multi_frame(path: Path, syntax: TransferSyntax, frames: int, frame: bytes) -> None:
    """Write a multi-frame image of 1024 x 1024 16-bit pixels, frame by frame.

    Args:
        path: Where to.
        syntax: Explicit VR Little Endian, or an encapsulated one.
        frames: How many frames.
        frame: The bytes of each, an even number: native, or a codestream.
    """
    sop_class = b"1.2.840.10008.5.1.4.1.1.2.1"
    attributes = b"".join(
        (
            _identifiers(sop_class, b"CT"),
            element(0x00280002, b"US", b"\1\0"),
            element(0x00280004, b"CS", b"MONOCHROME2"),
            element(0x00280008, b"IS", b"%d" % frames),
            element(0x00280010, b"US", struct.pack("<H", 1024)),
            element(0x00280011, b"US", struct.pack("<H", 1024)),
            element(0x00280100, b"US", struct.pack("<H", 16)),
            element(0x00280101, b"US", struct.pack("<H", 16)),
            element(0x00280102, b"US", struct.pack("<H", 15)),
            element(0x00280103, b"US", b"\0\0"),
        )
    )
    header = part10_header(sop_class.decode(), "1.2.826.0.1.3680043.10.9999.1", syntax.uid)
    with path.open("wb") as file:
        for piece in (header, attributes, *_pixels(syntax, frames, frame)):
            file.write(piece)


def _pixels(syntax: TransferSyntax, frames: int, frame: bytes) -> Iterator[bytes]:
    if not syntax.encapsulated:
        yield element(0x7FE00010, b"OW", b"", frames * len(frame))
        for _ in range(frames):
            yield frame
        return
    yield element(0x7FE00010, b"OB", b"", _UNDEFINED)
    yield b"\xfe\xff\x00\xe0" + bytes(4)  # an empty Basic Offset Table
    for _ in range(frames):
        yield b"\xfe\xff\x00\xe0" + struct.pack("<I", len(frame)) + frame
    yield _SEQUENCE_END
