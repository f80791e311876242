"""What the two halves of transcoding share: the task, and frames worked on a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding.codecs.description import EncodeOptions
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.encapsulation import OffsetTable
from pacs_sdk.encoding.pixel_data.parallel import decode_each
from pacs_sdk.encoding.pixel_data.pixel_source import PixelSource
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["TranscodeJob", "in_batches"]

_BATCH_BYTES: Final = 128 << 20
"""How much of decoded frames is in memory at once, about 128 MiB."""

_BATCH_FRAMES: Final = 512
"""The most frames that are worked on before they are written."""

_T = TypeVar("_T")


@attrs.frozen
class TranscodeJob:
    """One image that is to become another transfer syntax."""

    instance: Instance
    """What it is made of."""
    source: PixelSource
    """Its data set taken apart."""
    dataset: DicomDataset
    """What stands around its pixels; changed on the way."""
    target: TransferSyntax
    """What it is to become."""
    options: EncodeOptions
    """How frames are compressed."""
    threads: int | None
    """How many frames at once."""
    codecs: CodecRegistry | None
    """What decodes and encodes."""
    new_sop_instance_uid: bool | str
    """What a lossy result is called."""
    offset_table: OffsetTable
    """Which offset table is made."""


def in_batches(
    work: Callable[[int], _T], frames: int, frame_bytes: int, threads: int | None
) -> Iterator[_T]:
    """Call ``work`` with 0 to ``frames - 1`` in several threads, results in this order.

    Args:
        work: Does something with the frame of a number.
        frames: How many there are.
        frame_bytes: How much memory one takes.
        threads: How many at once; as many as there are processors where it isn't given.

    Raises:
        BaseException: What ``work`` raises.
    """
    step = max(2, min(_BATCH_FRAMES, _BATCH_BYTES // max(frame_bytes, 1)))
    for begin in range(0, frames, step):
        yield from _batch(work, range(begin, min(begin + step, frames)), threads)


def _batch(work: Callable[[int], _T], numbers: range, threads: int | None) -> list[_T]:
    made: dict[int, _T] = {}

    def keep(place: int) -> None:
        made[place] = work(numbers[place])

    decode_each(keep, len(numbers), threads)
    return [made[place] for place in range(len(numbers))]
