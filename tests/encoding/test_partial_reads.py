"""Reading a part of a data set: up to a tag, or some attributes, never the pixels."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import TagLike
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    decode_dataset,
    part10_header,
    read_bytes,
    read_file,
)
from tests.encoding.dataset_vectors import VECTORS, Vector

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)

CT = "1.2.840.10008.5.1.4.1.1.2"


def keywords(vector: Vector, data: bytes, **part: TagLike | list[TagLike]) -> list[str]:
    """Decode a part and name what is in it."""
    dataset = raised(decode_dataset(data, vector.syntax, **part))  # type: ignore[arg-type]
    return [tag.keyword for tag in dataset]


@vectors
def test_until_stops_before_a_tag(vector: Vector) -> None:
    """``until`` ends the reading: of what follows not even the length is looked at."""
    wanted = ["Modality", "PatientName", "PhysicalDeltaX", "DimensionIndexPointer", "Rows"]
    damaged = vector.data[:-4]  # in the value of Pixel Data
    assert keywords(vector, damaged, until="ContentSequence") == wanted
    assert keywords(vector, damaged, until=0x0040A72F) == wanted
    assert keywords(vector, damaged, until="PixelData") == [*wanted, "ContentSequence"]


@vectors
def test_tags_keep_what_is_asked_for(vector: Vector) -> None:
    """``tags`` leaves those elements, in order; the reading ends after the last of them."""
    damaged = vector.data[:-4]
    found = keywords(vector, damaged, tags=["Rows", "PatientName", "ContentSequence"])
    assert found == ["PatientName", "Rows", "ContentSequence"]
    assert keywords(vector, damaged, tags=["StudyDate"]) == []


def test_tags_keep_what_others_need() -> None:
    """Specific Character Set stays, so that text is right, and Pixel Representation."""
    charset = b"\x08\x00\x05\x00" + b"CS\x0a\x00" + b"ISO_IR 192"
    name = b"\x10\x00\x10\x00" + b"PN\x08\x00" + "Åse^Bø".encode()
    dataset = raised(
        decode_dataset(charset + name, EXPLICIT_VR_LITTLE_ENDIAN, tags=["PatientName"])
    )
    assert str(dataset["PatientName"]) == "Åse^Bø"
    assert "SpecificCharacterSet" in dataset


def test_unknown_names_are_refused() -> None:
    """A name that is no attribute is a failure that repeats it."""
    error = decode_dataset(b"", IMPLICIT_VR_LITTLE_ENDIAN, tags=["PatientNam"]).failure()
    assert error.code is ErrorCode.INVALID_TAG
    assert "PatientNam" in error.message


class Watched:
    """A source that remembers how far it was looked at."""

    def __init__(self, data: bytes) -> None:
        self._bytes = MemoryBytes(data)
        self.seen = 0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._bytes.size

    def head(self, limit: int) -> memoryview:
        """Return the beginning."""
        self.seen = max(self.seen, limit)
        return self._bytes.head(limit)

    def view(self) -> memoryview:
        """Return all."""
        self.seen = self.size
        return self._bytes.view()

    def slice(self, offset: int, length: int | None = None) -> ByteSource:
        """Return a part."""
        return self._bytes.slice(offset, length)


@pytest.mark.parametrize("long_header", [False, True], ids=["short header", "long header"])
def test_pixels_are_not_touched(long_header: bool) -> None:
    """Of an instance with pixels only the head is read, if the header ends in there."""
    filler = b"\x29\x00\x10\x10" + struct.pack("<2sHI", b"OB", 0, 70_000) + bytes(70_000)
    data = (
        b"\x08\x00\x60\x00CS\x02\x00CT"
        + (filler if long_header else b"")
        + b"\xe0\x7f\x10\x00"
        + struct.pack("<2sHI", b"OW", 0, 200_000)
        + bytes(200_000)
    )
    source = Watched(data)
    instance = Instance(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN.uid, source)
    dataset = raised(instance.dataset(until="PixelData"))
    assert dataset["Modality"] == "CT"
    assert "PixelData" not in dataset
    assert (0x00291010 in dataset) == long_header
    assert (source.seen == len(data)) == long_header


def whole_file(syntax: TransferSyntax, data: bytes) -> bytes:
    """Put a data set into a file."""
    return part10_header(CT, "1.2.3", syntax.uid) + data


@vectors
def test_sources_are_alike(vector: Vector, tmp_path: Path) -> None:
    """A path, bytes, a bytearray, a view and a memory map give equal data sets."""
    data = whole_file(vector.syntax, vector.data)
    path = tmp_path / "one.dcm"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        instances = [
            raised(read_file(path)),
            raised(read_bytes(data)),
            raised(read_bytes(bytearray(data))),
            raised(read_bytes(memoryview(data))),
            raised(read_bytes(bytes(mapped))),
        ]
        assert isinstance(instances[0].encoded, FileBytes)
        datasets = [raised(instance.dataset()) for instance in instances]
    assert all(dataset == datasets[0] for dataset in datasets[1:])
