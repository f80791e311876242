"""Whether reusing buffers pays.

Frames are decoded into new arrays or into one that is kept; the receive buffer of an
association is made for each or taken from a pool. The decision that rests on these figures is in ``docs/explanation/decisions``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.made_files import element
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    decode_frames,
    part10_header,
    read_bytes,
)

__all__ = ["comparisons"]

_RECEIVE_BYTES = 256 * 1024
_REPEATS = scaled(200)


def comparisons() -> tuple[Comparison, ...]:
    """Compare for native and RLE frames, few and many, and for the receive buffer."""
    return (*(_frames(frames) for frames in (1, 60)), _receive_buffer())


def _image(frames: int) -> Instance:
    plane = np.random.default_rng(1).integers(0, 4096, (frames, 512, 512), dtype=np.uint16)
    data = b"".join(
        (
            element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.7.3"),
            element(0x00080018, b"UI", b"1.2.3"),
            element(0x00280002, b"US", b"\1\0"),
            element(0x00280004, b"CS", b"MONOCHROME2"),
            element(0x00280008, b"IS", b"%d" % frames),
            element(0x00280010, b"US", struct.pack("<H", 512)),
            element(0x00280011, b"US", struct.pack("<H", 512)),
            element(0x00280100, b"US", struct.pack("<H", 16)),
            element(0x00280101, b"US", struct.pack("<H", 16)),
            element(0x00280102, b"US", struct.pack("<H", 15)),
            element(0x00280103, b"US", b"\0\0"),
            element(0x7FE00010, b"OW", plane.tobytes()),
        )
    )
    header = part10_header("1.2.840.10008.5.1.4.1.1.7.3", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN.uid)
    return read_bytes(header + data).unwrap()


def _frames(frames: int) -> Comparison:
    instance = _image(frames)
    kept = np.empty((frames, 512, 512), dtype=np.uint16)

    def new() -> None:
        decode_frames(instance).unwrap()

    def reused() -> None:
        decode_frames(instance, out=kept).unwrap()

    return Comparison(
        f"copy {frames} native frame(s) of 512 x 512",
        "frames",
        frames,
        (Contestant("a new array each time", new), Contestant("one array, `out=`", reused)),
    )


def _receive_buffer() -> Comparison:
    kept = [bytearray(_RECEIVE_BYTES)]

    def repeated(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(_REPEATS):
                work()

        return run

    def pooled() -> None:
        kept.append(kept.pop())

    return Comparison(
        f"a receive buffer of {_RECEIVE_BYTES} bytes for {_REPEATS} associations",
        "associations",
        _REPEATS,
        (
            Contestant("made for each", repeated(lambda: bytearray(_RECEIVE_BYTES))),
            Contestant("taken from a pool", repeated(pooled)),
        ),
    )
