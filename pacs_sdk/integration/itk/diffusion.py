"""Diffusion weighting: b-value and gradient direction, wherever a vendor wrote them.

The standard attributes (PS3.3 C.8.13.5.9) are often absent from single-frame MR images.
Siemens, GE and Philips have private ones, which are read as their conformance statements and
long use define them; but for GE's directions, which are not in patient coordinates.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.image_slice import ImageSlice

__all__ = ["with_diffusion"]

_B_VALUE: Final = int(DicomTag.of("DiffusionBValue"))
_GRADIENT: Final = int(DicomTag.of("DiffusionGradientOrientation"))
_SIEMENS_B_VALUE: Final = 0x0019100C
_SIEMENS_GRADIENT: Final = 0x0019100E
_GE_B_VALUE: Final = 0x00431039
_PHILIPS_B_VALUE: Final = 0x20011003
_PHILIPS_GRADIENT: Final = (0x200510B0, 0x200510B1, 0x200510B2)
"""Towards left, back and head."""
_CREATORS: Final = {
    0x00190010: b"SIEMENS MR HEADER",
    0x00430010: b"GEMS_PARM_01",
    0x20010010: b"Philips Imaging DD 001",
    0x20050010: b"Philips MR Imaging DD 001",
}
"""Private creators, in the block where these vendors put them."""
_GE_FLAG: Final = 1_000_000_000
"""GE adds a billion or a multiple of a million to b-values of some sequences."""

_TAGS: Final = frozenset(
    (
        _B_VALUE,
        _GRADIENT,
        _SIEMENS_B_VALUE,
        _SIEMENS_GRADIENT,
        _GE_B_VALUE,
        _PHILIPS_B_VALUE,
        *_PHILIPS_GRADIENT,
        *_CREATORS,
    )
)


def with_diffusion(one: ImageSlice) -> ImageSlice:
    """Return the slice with DiffusionBValue and DiffusionGradientOrientation as attributes.

    A slice that has neither, in its own vendor's attributes either, is returned as it is.
    """
    if one.attributes:  # a frame has its own, at another place
        return one
    header = one.instance.header(_TAGS).value_or(None)
    if header is None:
        return one
    raw = {
        tag: value
        for tag, value in header.raw.items()
        if not tag >> 16 & 1 or _is_vendors(tag, header.raw)
    }
    order = "<" if header.little_endian else ">"
    found: dict[str, str] = {}
    b_value = _number(raw.get(_B_VALUE), f"{order}d")
    for tag, layout in ((_SIEMENS_B_VALUE, ""), (_PHILIPS_B_VALUE, f"{order}f"), (_GE_B_VALUE, "")):
        if b_value is None:
            b_value = _number(raw.get(tag), layout)
    if b_value is not None:
        found["DiffusionBValue"] = f"{b_value % _GE_FLAG if b_value >= _GE_FLAG else b_value:g}"
    vector = _vector(raw, order)
    if vector and all(map(math.isfinite, vector)):
        found["DiffusionGradientOrientation"] = "\\".join(f"{part:.9g}" for part in vector)
    return attrs.evolve(one, attributes={**one.attributes, **found}) if found else one


def _vector(raw: Mapping[int, bytes], order: str) -> tuple[float, ...]:
    """Read the direction, in patient coordinates; nothing where there is none."""
    gradient = raw.get(_GRADIENT) or raw.get(_SIEMENS_GRADIENT)
    if gradient is not None and len(gradient) == 24:
        return struct.unpack(f"{order}3d", gradient)
    parts = [raw.get(tag, b"") for tag in _PHILIPS_GRADIENT]
    if all(len(part) == 4 for part in parts):
        return struct.unpack(f"{order}3f", b"".join(parts))
    return ()


def _is_vendors(tag: int, raw: Mapping[int, bytes]) -> bool:
    """Whether the private creator of a tag's block is the vendor's."""
    creator = tag & 0xFFFF0000 | 0x0010
    return tag != creator and raw.get(creator, b"").strip(b" \0") == _CREATORS.get(creator)


def _number(value: bytes | None, layout: str) -> float | None:
    """Read a number that is binary, or text with more numbers behind it."""
    if not value:
        return None
    if layout and len(value) == struct.calcsize(layout):
        number: float = struct.unpack(layout, value)[0]
        return number if math.isfinite(number) else None
    try:
        return float(value.split(b"\\")[0].strip(b" \0"))
    except ValueError:
        return None
