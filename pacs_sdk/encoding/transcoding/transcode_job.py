"""What the two halves of transcoding share: the task, and frames worked on a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding.codecs.description import Codec, EncodeOptions, FrameDescription
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.encapsulation import OffsetTable
from pacs_sdk.encoding.pixel_data.parallel import decode_each
from pacs_sdk.encoding.pixel_data.pixel_source import PixelSource
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["TranscodeJob", "batch_encoder", "frames_in_a_batch", "in_batches"]

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
    step = frames_in_a_batch(frame_bytes)
    for begin in range(0, frames, step):
        yield from _batch(work, range(begin, min(begin + step, frames)), threads)


def frames_in_a_batch(frame_bytes: int) -> int:
    """Return how many frames :func:`in_batches` works on before it gives the first."""
    return max(2, min(_BATCH_FRAMES, _BATCH_BYTES // max(frame_bytes, 1)))


def batch_encoder(
    codec: Codec,
    stored: FrameDescription,
    transfer_syntax_uid: str,
    options: EncodeOptions,
    batch: int,
) -> Callable[[int, np.ndarray], Buffer]:
    """Return what encodes the frame of a number, for :func:`in_batches`.

    A codec that can is given room, the same for a frame of every batch: memory that is new
    for every frame takes half the time that packing RLE does, and one thread waits for the
    other's (`benchmarks/encode_frames.py`). What it gives is then a memoryview, to be copied
    before the next batch begins.

    Args:
        codec: What encodes.
        stored: What its ``stored_as`` gave.
        transfer_syntax_uid: The transfer syntax.
        options: How frames are compressed.
        batch: How many frames are worked on before the first is taken, or more.
    """
    limit = codec.encoded_limit(stored)
    if limit is None:
        return lambda _, frame: codec.encode(frame, stored, transfer_syntax_uid, options)
    rooms = np.empty((batch, limit), np.uint8)

    def encode(number: int, frame: np.ndarray) -> Buffer:
        room = rooms[number % batch]
        size = codec.encode_into(frame, stored, transfer_syntax_uid, options, room)
        return memoryview(room)[:size]

    return encode


def _batch(work: Callable[[int], _T], numbers: range, threads: int | None) -> list[_T]:
    made: dict[int, _T] = {}

    def keep(place: int) -> None:
        made[place] = work(numbers[place])

    decode_each(keep, len(numbers), threads)
    return [made[place] for place in range(len(numbers))]
