"""Siemens mosaics: the slices of a volume as tiles of one image.

Nothing in the standard describes them. Image Type has MOSAIC; (0019,100A) of the private block
SIEMENS MR HEADER says how many tiles are slices, of a square of n × n; Image Position (Patient)
is where the first pixel would lie if the whole mosaic was one slice around the same centre;
and SliceNormalVector in the CSA image header (0029,1010) says to which side the slices go.
"""

from __future__ import annotations

import math
import struct
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.geometry import axes_of
from pacs_sdk.integration.itk.image_slice import ImageSlice, SliceReader, not_loadable
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.sources import FoundObject

__all__ = ["is_mosaic", "mosaic_slices"]

_IMAGE_TYPE: Final = int(DicomTag.of("ImageType"))
_HEADER_CREATOR: Final = 0x00190010
_SLICES: Final = 0x0019100A
_CSA_CREATOR: Final = 0x00290010
_CSA_HEADER: Final = 0x00291010
_TAGS: Final = frozenset((_HEADER_CREATOR, _SLICES, _CSA_CREATOR, _CSA_HEADER))
_MOST_SLICES: Final = 4096
"""A mosaic has rows and columns of at most 65,535 pixels, and tiles of 16 at least."""

_NORMAL: Final = "SliceNormalVector"
_CSA_MAGIC: Final = b"SV10"
_CSA_TAG: Final = struct.Struct("<64si4siii")
_CSA_ITEM: Final = struct.Struct("<4i")
_MOST_CSA_TAGS: Final = 1024


def is_mosaic(found: FoundObject) -> bool:
    """Tell whether an image is a mosaic, by its Image Type."""
    return b"MOSAIC" in found.header.raw.get(_IMAGE_TYPE, b"").replace(b" ", b"").split(b"\\")


def mosaic_slices(
    found: FoundObject, reader: SliceReader, options: LoadOptions
) -> list[ImageSlice]:
    """Make slices of the tiles of a mosaic.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` where the policy refuses mosaics, or how many
            slices it has, how far they lie apart or to which side they go is not said.
    """
    whole = reader.slice_of(found)
    if options.on_mosaic == "error":
        raise not_loadable(
            found.name, "ImageType", "has MOSAIC: one image is a tile pattern of many slices"
        )
    private = _private(found)
    count = _slice_count(found, private)
    across = math.ceil(math.sqrt(count))
    kind = whole.kind
    if kind.rows % across or kind.columns % across:
        raise _refuse(
            found, f"{kind.rows} × {kind.columns} pixels are no {across} × {across} tiles"
        )
    tile = attrs.evolve(kind, rows=kind.rows // across, columns=kind.columns // across)
    step = whole.number("SpacingBetweenSlices") or whole.number("SliceThickness")
    if not step or step <= 0:
        raise not_loadable(
            found.name,
            "SpacingBetweenSlices",
            "is missing: nothing else says how far the slices of a mosaic lie apart",
        )
    axes = axes_of(kind.orientation)
    normal = _normal(found, private)
    if abs(abs(normal @ axes[:, 2]) - 1) > 1e-3:
        raise _refuse(found, "SliceNormalVector is not at right angles to its rows and columns")
    between_rows, between_columns = kind.pixel_spacing
    # The centre of the mosaic is that of each slice.
    first = (
        np.asarray(whole.position)
        + axes[:, 0] * (kind.columns - tile.columns) / 2 * between_columns
        + axes[:, 1] * (kind.rows - tile.rows) / 2 * between_rows
    )
    slices = []
    for number in range(count):
        x, y, z = (first + normal * (step * number)).tolist()
        row, column = divmod(number, across)
        place = (row * tile.rows, column * tile.columns)
        slices.append(ImageSlice(found, tile, (x, y, z), frame=number, tile=place))
    return slices


def _private(found: FoundObject) -> dict[int, bytes]:
    header = found.instance.header(_TAGS).value_or(None)
    raw = {} if header is None else dict(header.raw)
    if raw.get(_HEADER_CREATOR, b"").strip(b" \0") != b"SIEMENS MR HEADER":
        raw.pop(_SLICES, None)
    if raw.get(_CSA_CREATOR, b"").strip(b" \0") != b"SIEMENS CSA HEADER":
        raw.pop(_CSA_HEADER, None)
    return raw


def _slice_count(found: FoundObject, private: dict[int, bytes]) -> int:
    value = private.get(_SLICES, b"")
    count = 0
    if len(value) == 2:
        order = "<" if found.header.little_endian else ">"
        (count,) = struct.unpack(f"{order}H", value)
    elif value.strip(b" \0").isdigit():  # a data set that was written without its VRs
        count = int(value)
    if not 1 <= count <= _MOST_SLICES:
        raise _refuse(
            found, "(0019,100A) of the block SIEMENS MR HEADER does not say how many slices it has"
        )
    return count


def _normal(found: FoundObject, private: dict[int, bytes]) -> NDArray[np.float64]:
    vector = csa_numbers(private.get(_CSA_HEADER, b""), _NORMAL)
    if len(vector) != 3:
        raise _refuse(
            found,
            f"there is no {_NORMAL} in its CSA header (0029,1010), without which nobody can "
            "tell to which side the slices go",
        )
    return np.asarray(vector)


def csa_numbers(data: bytes, name: str) -> tuple[float, ...]:
    """Read the numbers of an element of a CSA header, none where it is absent or damaged.

    A header is ``SV10``, four bytes, the number of elements, 77; then each element with its
    name, how many values it has, their type, and for each value four numbers, of which the
    second is the length of the text that follows, padded to four bytes.
    """
    if data[:4] != _CSA_MAGIC or len(data) < 16:
        return ()
    (elements,) = struct.unpack_from("<i", data, 8)
    at = 16
    for _ in range(min(max(elements, 0), _MOST_CSA_TAGS)):
        if at + _CSA_TAG.size > len(data):
            return ()
        label, _, _, _, items, _ = _CSA_TAG.unpack_from(data, at)
        at += _CSA_TAG.size
        texts = []
        for _ in range(max(items, 0)):
            if at + _CSA_ITEM.size > len(data):
                return ()
            length = _CSA_ITEM.unpack_from(data, at)[1]
            at += _CSA_ITEM.size
            if not 0 <= length <= len(data) - at:
                return ()
            texts.append(data[at : at + length].split(b"\0")[0].strip())
            at += -(-length // 4) * 4
        if label.split(b"\0")[0].decode("latin-1") == name:
            return _numbers([text for text in texts if text])
    return ()


def _numbers(texts: list[bytes]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _refuse(found: FoundObject, words: str) -> PacsException:
    return not_loadable(found.name, "ImageType", f"has MOSAIC, but {words}")
