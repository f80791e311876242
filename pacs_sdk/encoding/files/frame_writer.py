"""Writing files frame by frame, of objects that are larger than memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.files.part10_writer import checked_place, part10_header, writing_atomically
from pacs_sdk.encoding.instance import sop_uids_of
from pacs_sdk.encoding.pixel_data.encapsulation import (
    SEQUENCE_DELIMITATION,
    FragmentWriter,
    OffsetTable,
    OffsetTables,
    pixel_data_header,
)
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout, layout_of_dataset
from pacs_sdk.encoding.pixel_data.spliced import Surroundings, encoded_around, native_header
from pacs_sdk.encoding.pixel_data.stored_frames import native_bytes, native_value_bytes
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)
from pacs_sdk.encoding.validation.checks import ValidationMode, check_dataset

__all__ = ["write_frames"]

_NATIVE: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
"""Where pixels are native and in the data set, and bytes stay where they were written."""

_BASIC_TABLE_REACH: Final = 1 << 32
"""What a Basic Offset Table can say, in bytes: it has 32-bit numbers (PS3.5 A.4)."""


@edge({OSError: ErrorCode.FILE_WRITE_FAILED})
def write_frames(  # each but the first three is a keyword with a default
    dataset: DatasetLike,
    frames: Iterable[np.ndarray | Buffer],
    path: str | os.PathLike[str],
    *,
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    offset_table: OffsetTable | None = None,
    validation: ValidationMode = ValidationMode.STRICT,
    logger: Logger | None = None,
) -> Path:
    """Write a DICOM file frame by frame; only one of them is in memory.

    The file appears complete or not at all.

    Args:
        dataset: Everything but the pixels; its attributes say what a frame is and how many
            there are. Elements of group 7FE0 are not written.
        frames: The frames, in order. For a native syntax arrays (rows, columns[, samples]) of
            stored values; for an encapsulated one their codestreams.
        path: Where to; an existing file is replaced.
        syntax: The transfer syntax, not a deflated one.
        offset_table: Which table says where codestreams begin; where it isn't given, the
            Extended Offset Table if native frames would take more than 4 GiB, else the Basic
            Offset Table.
        validation: What becomes of values that break the rules of their VR, as for
            :func:`write_file`.
        logger: Where ``ValidationMode.WARN`` writes them.

    Returns:
        ``Success`` with the path, or ``Failure`` with ``INVALID_ARGUMENT`` for fewer or more
        frames than Number of Frames, or a frame of another shape or dtype;
        ``OPERATION_NOT_SUPPORTED`` for a deflated syntax or one without Pixel Data;
        ``PIXEL_DATA_FAILED`` where the attributes make no image, ``LIMIT_EXCEEDED`` where the
        pixels are longer than an element or an offset table can say, or the failures of
        :func:`write_file`.
    """
    typed = as_dataset(dataset)
    uids = (*sop_uids_of(typed), syntax.uid)
    if validation is not ValidationMode.LENIENT:
        check_dataset(typed, validation, logger, changed_only=True)
    layout = layout_of_dataset(typed, raw=True)
    plan = _Plan(typed, layout, syntax)
    place = checked_place(path)
    with writing_atomically(place) as file:
        file.write(part10_header(*uids))
        if syntax.encapsulated:
            plan.write_encapsulated(file, frames, offset_table)
        else:
            plan.write_native(file, frames)
    return place


@attrs.frozen
class _Plan:
    """What is to be written."""

    dataset: DicomDataset
    """Everything but the pixels."""
    layout: PixelLayout
    """What the frames are."""
    syntax: TransferSyntax
    """How they are written."""

    @property
    def around(self) -> Surroundings:
        """The data set's bytes before and after the pixels."""
        return encoded_around(self.dataset, self.syntax)

    def write_native(self, file: BufferedWriter, frames: Iterable[np.ndarray | Buffer]) -> None:
        """Write frames as they are."""
        frame = self.layout.frame
        if self.syntax not in _NATIVE:
            raise PacsException(
                ErrorCode.OPERATION_NOT_SUPPORTED,
                f"in {self.syntax.name} frames cannot be written one by one",
                transfer_syntax=self.syntax.uid,
            )
        bits = frame.bits_allocated
        length = native_value_bytes(self.layout.frames, frame)
        padding = length % 2
        vr = "OW" if bits > 8 or not self.syntax.explicit_vr else "OB"
        around = self.around
        file.write(around.before)
        file.write(native_header(self.syntax, "PixelData", vr, length + padding))
        arrays = (self._checked(one, number) for number, one in self._counted(frames))
        little = self.syntax.little_endian
        file.writelines(native_bytes(arrays, bits, little=little))
        file.write(bytes(padding))
        file.write(around.after)

    def write_encapsulated(
        self,
        file: BufferedWriter,
        frames: Iterable[np.ndarray | Buffer],
        offset_table: OffsetTable | None,
    ) -> None:
        """Write codestreams, and what says where they begin once that is known."""
        table = self._table() if offset_table is None else offset_table
        around = self.around
        file.write(around.before)
        begin = file.tell()
        room = _head(self._empty_tables(table))
        file.write(room)
        first = file.tell()
        writer = FragmentWriter(self.syntax)
        for _, codestream in self._counted(frames):
            if table is OffsetTable.BASIC and file.tell() - first >= _BASIC_TABLE_REACH:
                raise PacsException(
                    ErrorCode.LIMIT_EXCEEDED,
                    "the frames go beyond what a Basic Offset Table can say; "
                    "ask for OffsetTable.EXTENDED",
                    limit=_BASIC_TABLE_REACH,
                )
            stream = codestream.data if isinstance(codestream, np.ndarray) else codestream
            file.writelines(writer.pieces(stream))
        file.write(SEQUENCE_DELIMITATION)
        file.write(around.after)
        head = _head(writer.tables(table))
        if len(head) != len(room):
            raise PacsException(
                ErrorCode.ENCODE_FAILED, "the offset tables are longer than the room left for them"
            )
        file.seek(begin)
        file.write(head)

    def _table(self) -> OffsetTable:
        large = native_value_bytes(self.layout.frames, self.layout.frame) > _BASIC_TABLE_REACH
        return OffsetTable.EXTENDED if large else OffsetTable.BASIC

    def _empty_tables(self, table: OffsetTable) -> OffsetTables:
        frames = self.layout.frames
        if table is OffsetTable.EXTENDED:
            return OffsetTables(b"", bytes(8 * frames), bytes(8 * frames))
        return OffsetTables(bytes(4 * frames) if table is OffsetTable.BASIC else b"")

    def _counted(
        self, frames: Iterable[np.ndarray | Buffer]
    ) -> Iterator[tuple[int, np.ndarray | Buffer]]:
        wanted, count = self.layout.frames, 0
        for count, frame in enumerate(frames, start=1):  # looked at afterwards
            if count > wanted:
                break
            yield count - 1, frame
        if count != wanted:
            found = "more than that came" if count > wanted else f"{count} came"
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"Number of Frames is {wanted}, {found}"
            )

    def _checked(self, frame: np.ndarray | Buffer, number: int) -> np.ndarray:
        expected = self.layout.frame
        values = np.asarray(frame)
        if values.shape != expected.shape or values.dtype.newbyteorder("=") != expected.dtype:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"frame {number} is {values.shape} of {values.dtype}, "
                f"the attributes say {expected.shape} of {expected.dtype}",
                frame=number,
            )
        if expected.planar and expected.samples > 1:  # each sample's plane for itself
            return np.moveaxis(values, -1, 0)
        return values


def _head(tables: OffsetTables) -> bytes:
    return pixel_data_header(tables) + tables.basic_item
