"""What we encode is decoded by others: pydicom's plugins, GDCM, DCMTK, OpenJPH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import EncodeOptions, instance_from_dataset, transfer_syntax, write_file
from tests.encoding.compressed_images import BASE, RLE, dataset_of, item, noise, padded
from tests.encoding.encoding_helpers import (
    NOTHING_LOST,
    ct,
    described,
    encoded,
    encoder,
    photo,
)

PEERS = [
    (RLE, "pydicom"),
    (RLE, "pylibjpeg"),
    *((BASE + end, "gdcm") for end in ("57", "70", "80", "90")),
    (BASE + "80", "pyjpegls"),
    (BASE + "81", "pyjpegls"),
    *((BASE + end, "pylibjpeg") for end in ("90", "91", "201", "202", "203")),
]
"""Transfer syntaxes, and plugins of pydicom that decode them."""

IMAGES = {
    "8 bits": (8, False, 1),
    "12 bits": (12, False, 1),
    "16 bits": (16, False, 1),
    "10 bits": (10, False, 1),
    "8 bits, signed": (8, True, 1),
    "12 bits, signed": (12, True, 1),
    "16 bits, signed": (16, True, 1),
    "8 bits, colour": (8, False, 3),
    "16 bits, colour": (16, False, 3),
}


def image(
    uid: str, frames: np.ndarray, bits: int, options: EncodeOptions = NOTHING_LOST
) -> Dataset:
    """Encode frames (frames, rows, columns[, samples]) into a data set."""
    made = [encoded(uid, frame, described(frame, bits), options) for frame in frames]
    value = item() + b"".join(item(padded(data)) for data, _ in made)
    stored = made[0][1]
    dataset = dataset_of(uid, frames, value, stored.photometric, stored.bits_stored)
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3.4"
    return dataset


def by_plugin(dataset: Dataset, plugin: str) -> np.ndarray:
    """Decode with a plugin of pydicom, which may not be another."""
    decoder = get_decoder(UID(dataset.file_meta.TransferSyntaxUID))
    found, _ = decoder.as_array(dataset, decoding_plugin=plugin, raw=True)
    return found.reshape(dataset.NumberOfFrames, *found.shape[-2 - (found.shape[-1] == 3) :])


@pytest.mark.parametrize(("bits", "signed", "samples"), IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize(("uid", "plugin"), PEERS)
def test_others_decode_the_same(
    uid: str, plugin: str, bits: int, signed: bool, samples: int
) -> None:
    """Plugins of pydicom give back what was encoded without loss."""
    frames = noise(bits, samples, signed=signed, frames=2)
    found = by_plugin(image(uid, frames, bits), plugin)
    assert found.dtype == frames.dtype
    assert np.array_equal(found, frames)


DCMTK = [
    (RLE, "dcmdrle"),
    (BASE + "57", "dcmdjpeg"),
    (BASE + "70", "dcmdjpeg"),
    (BASE + "80", "dcmdjpls"),
    (BASE + "81", "dcmdjpls"),
]


def by_dcmtk(program: Path, dataset: Dataset, folder: Path, *options: str) -> np.ndarray:
    """Decompress a file with a program of DCMTK."""
    syntax = raised(transfer_syntax(dataset.file_meta.TransferSyntaxUID))
    source = raised(
        write_file(raised(instance_from_dataset(dataset, syntax)), folder / "source.dcm")
    )
    subprocess.run([program, *options, source, folder / "made.dcm"], check=True)
    found: np.ndarray = pydicom.dcmread(folder / "made.dcm").pixel_array
    return found


@pytest.mark.interop("dcmdrle", "dcmdjpeg", "dcmdjpls")
@pytest.mark.parametrize(("bits", "signed", "samples"), IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize(("uid", "program"), DCMTK)
def test_dcmtk_decodes_the_same(
    uid: str,
    program: str,
    bits: int,
    signed: bool,
    samples: int,
    dcmtk: dict[str, Path],
    tmp_path: Path,
) -> None:
    """DCMTK's programs give back what was encoded without loss."""
    frames = noise(bits, samples, signed=signed, frames=2)
    found = by_dcmtk(dcmtk[program], image(uid, frames, bits), tmp_path)
    assert np.array_equal(found, frames)


@pytest.mark.parametrize(("signed", "samples"), [(False, 1), (True, 1), (False, 3)])
@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_openjph_decodes_the_same(bits: int, signed: bool, samples: int) -> None:
    """OpenJPH understands what was corrected in its codestream afterwards."""
    frame = noise(bits, samples, signed=signed)[0]
    data, _ = encoded(BASE + "202", frame, described(frame, bits))
    found = imagecodecs.htj2k_decode(data)
    assert np.array_equal(found.reshape(frame.shape).astype(frame.dtype), frame)


# -- lossy: others see what we see ------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "plugin", "bits"),
    [("50", "gdcm", 8), ("51", "gdcm", 8), ("50", "dcmtk", 8), ("51", "dcmtk", 12)],
)
@pytest.mark.interop("dcmdjpeg")
def test_others_decode_jpeg(
    end: str, plugin: str, bits: int, dcmtk: dict[str, Path], tmp_path: Path
) -> None:
    """JPEG with a DCT is decoded to what our decoder gives, but for rounding."""
    frame = ct(bits)
    dataset = image(BASE + end, frame[None], bits, EncodeOptions())
    data, stored = encoded(BASE + end, frame, described(frame, bits), EncodeOptions())
    ours = encoder(BASE + end).decode(data, attrs.evolve(stored, raw=True))
    if plugin == "dcmtk":
        found = by_dcmtk(dcmtk["dcmdjpeg"], dataset, tmp_path)
    else:
        found = by_plugin(dataset, plugin)[0]
    assert np.abs(found.astype(int) - ours).max() <= 2


@pytest.mark.interop("dcmdjpeg")
def test_dcmtk_decodes_colour_jpeg(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """A colour image comes back as RGB from the subsampled and transformed codestream."""
    frame = photo()
    options = EncodeOptions(quality=95)
    dataset = image(BASE + "50", frame[None], 8, options)
    found = by_dcmtk(dcmtk["dcmdjpeg"], dataset, tmp_path, "+cp")  # to RGB
    data, stored = encoded(BASE + "50", frame, described(frame), options)
    ours = encoder(BASE + "50").decode(data, stored)
    assert np.abs(found.astype(int) - ours).mean() < 1


@pytest.mark.parametrize(("end", "plugin"), [("91", "pylibjpeg"), ("203", "pylibjpeg")])
@pytest.mark.parametrize("signed", [False, True])
def test_others_decode_lossy_jpeg_2000(end: str, plugin: str, signed: bool) -> None:
    """Lossy JPEG 2000 and HTJ2K are to others what they are to us."""
    frame = (ct().astype(int) - 2048).astype("i2") if signed else ct()
    dataset = image(BASE + end, frame[None], 12, EncodeOptions())
    data, stored = encoded(BASE + end, frame, described(frame, 12), EncodeOptions())
    ours = encoder(BASE + end).decode(data, attrs.evolve(stored, raw=True))
    assert np.abs(by_plugin(dataset, plugin)[0].astype(int) - ours).max() <= 1


@pytest.mark.parametrize("signed", [False, True])
def test_others_keep_the_bound_of_near_lossless(signed: bool) -> None:
    """Another decoder of JPEG-LS is no further off than ``max_error`` either."""
    frame = ct() // 2 + 500
    frame = (frame.astype(int) - 2048).astype("i2") if signed else frame
    dataset = image(BASE + "81", frame[None], 12, EncodeOptions(max_error=3))
    found = by_plugin(dataset, "pyjpegls")[0]
    assert np.abs(found.astype(int) - frame).max() == 3
