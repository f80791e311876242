"""What a JPEG XL codestream holds, by its header (ISO/IEC 18181-1 Annex D, 18181-2 clause 4).

libjxl takes memory by it: for each frame of an animation, and for each extra channel.
"""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.encoding.codecs.description import pixel_failure

__all__ = ["JpegXlHeader", "jpegxl_header"]

_SIGNATURE: Final = b"\xff\x0a"
_CONTAINER: Final = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_MOST_BOXES: Final = 64
"""Boxes looked at before the codestream; three or four are usual."""
_LONGEST_HEADER: Final = 64
"""Bytes that hold all of the header's fields up to the number of extra channels."""

_Choices = tuple[tuple[int, int], ...]
"""What each of four numbers of two bits stands for: an offset, and how many bits are added."""

_SIZE: Final[_Choices] = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW_SIZE: Final[_Choices] = ((1, 6), (65, 8), (321, 10), (1345, 12))
_PREVIEW_EIGHTHS: Final[_Choices] = ((16, 0), (32, 0), (1, 5), (33, 9))
_WHOLE_BITS: Final[_Choices] = ((8, 0), (10, 0), (12, 0), (1, 6))
_FLOAT_BITS: Final[_Choices] = ((32, 0), (16, 0), (24, 0), (1, 6))
_EXTRA_CHANNELS: Final[_Choices] = ((0, 0), (1, 0), (2, 4), (1, 12))
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@attrs.frozen
class JpegXlHeader:
    """What a codestream says that it holds."""

    rows: int
    """Lines."""
    columns: int
    """Pixels a line."""
    animated: bool = False
    """Whether it may have several frames, each as large as the image."""
    extra_channels: int = 0
    """Channels besides grey or colour."""


def jpegxl_header(data: bytes) -> JpegXlHeader:
    """Read the size header and what is needed of the image's metadata (D.2, D.3).

    Args:
        data: A codestream, or one in a container of boxes.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is no such header.
    """
    begin = _in_container(data) if data.startswith(_CONTAINER) else data[:_LONGEST_HEADER]
    if not begin.startswith(_SIGNATURE):
        raise pixel_failure("its codestream does not begin with the signature of JPEG XL")
    fields = _Fields(begin[len(_SIGNATURE) :])
    rows, columns = fields.size()
    if fields.take(1):  # all_default
        return JpegXlHeader(rows, columns)
    animated = bool(fields.take(1)) and _is_animated(fields)
    if animated:  # what else there is does not matter
        return JpegXlHeader(rows, columns, animated=True)
    if fields.take(1):
        fields.choice(_FLOAT_BITS)
        fields.take(4)
    else:
        fields.choice(_WHOLE_BITS)
    fields.take(1)  # modular_16bit_buffers
    return JpegXlHeader(rows, columns, extra_channels=fields.choice(_EXTRA_CHANNELS))


def _is_animated(fields: _Fields) -> bool:
    """Read the extra fields up to have_animation."""
    fields.take(3)  # orientation
    if fields.take(1):
        fields.size()  # intrinsic_size
    if fields.take(1):
        fields.preview()
    return bool(fields.take(1))


class _Fields:
    """The bits of a header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._pos = 0

    def take(self, width: int) -> int:
        value = self._bits >> self._pos & ((1 << width) - 1)
        self._pos += width
        return value

    def choice(self, choices: _Choices) -> int:
        offset, width = choices[self.take(2)]
        return offset + self.take(width)

    def size(self) -> tuple[int, int]:
        small = bool(self.take(1))

        def dimension() -> int:
            return (self.take(5) + 1) * 8 if small else self.choice(_SIZE)

        rows = dimension()
        ratio = self.take(3)
        if not ratio:
            return rows, dimension()
        numerator, denominator = _RATIOS[ratio]
        return rows, rows * numerator // denominator

    def preview(self) -> None:
        choices = _PREVIEW_EIGHTHS if self.take(1) else _PREVIEW_SIZE
        self.choice(choices)
        if not self.take(3):
            self.choice(choices)


def _in_container(data: bytes) -> bytes:
    """Take the beginning of the codestream from its box ``jxlc``, or its parts ``jxlp``."""
    pos, begin = 0, b""
    for _ in range(_MOST_BOXES):
        length, kind = int.from_bytes(data[pos : pos + 4], "big"), data[pos + 4 : pos + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[pos + 8 : pos + 16], "big"), 16
        end = pos + length if length else len(data)  # 0: up to the end of the file
        if kind == b"jxlc":
            return data[pos + header : end][:_LONGEST_HEADER]
        if kind == b"jxlp":  # a number of 4 bytes comes first
            begin += data[pos + header + 4 : end][: _LONGEST_HEADER - len(begin)]
            if len(begin) == _LONGEST_HEADER:
                break
        if end < pos + header or end >= len(data):
            break
        pos = end
    if not begin:
        raise pixel_failure("its JPEG XL container has no codestream")
    return begin
