"""``python gdcm_frames.py FILE OUT.npy``: decode with GDCM, in a process that may die of it."""

from __future__ import annotations

import sys

import gdcm
import numpy as np

__all__: list[str] = []

_TYPES = {
    gdcm.PixelFormat.UINT8: "u1",
    gdcm.PixelFormat.INT8: "i1",
    gdcm.PixelFormat.UINT16: "u2",
    gdcm.PixelFormat.INT16: "i2",
    gdcm.PixelFormat.UINT32: "u4",
    gdcm.PixelFormat.INT32: "i4",
    gdcm.PixelFormat.FLOAT32: "f4",
    gdcm.PixelFormat.FLOAT64: "f8",
}


def main(source: str, target: str) -> int:
    """Write the stored values as (frames, rows, columns, samples); 1 if GDCM can't."""
    reader = gdcm.ImageReader()
    reader.SetFileName(source)
    if not reader.Read():
        return 1
    image = reader.GetImage()
    kind, samples = image.GetPixelFormat(), image.GetPixelFormat().GetSamplesPerPixel()
    buffer = image.GetBuffer()
    data = buffer.encode("utf-8", "surrogateescape") if isinstance(buffer, str) else buffer
    if kind.GetScalarType() == gdcm.PixelFormat.SINGLEBIT:
        values = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    else:
        values = np.frombuffer(data, dtype=_TYPES[kind.GetScalarType()])
    columns, rows = image.GetDimension(0), image.GetDimension(1)
    if samples > 1 and image.GetPlanarConfiguration() == 1:
        frames = np.moveaxis(values.reshape(-1, samples, rows, columns), 1, -1)
    else:
        frames = values.reshape(-1, rows, columns, samples)
    np.save(target, frames)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
