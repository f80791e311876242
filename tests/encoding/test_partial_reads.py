"""Reading a part of a data set: up to a tag, or some attributes, never the pixels."""

from __future__ import annotations

import io
import mmap
import struct
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import TagLike
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    decode_dataset,
    encode_dataset,
    part10_header,
    read_bytes,
    read_file,
    read_stream,
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


@vectors
def test_tags_keep_the_owner_of_what_is_private(vector: Vector) -> None:
    """Without its creator nobody knows the VR of a private element, where none is written."""
    made = DicomDataset(PatientID="7")
    block = raised(made.private_block(0x0019, "GEMS_ACQU_01", create=True))
    raised(block.set(0x02, 912, "SL"))
    encoded = raised(encode_dataset(made, vector.syntax))
    part = raised(decode_dataset(encoded, vector.syntax, tags=[0x00191002]))
    assert list(part) == [0x00190010, 0x00191002]
    assert part['(0019,"GEMS_ACQU_01",02)'] == 912


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


class Pipe(io.RawIOBase):
    """A stream that cannot be sought and gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give at most a thousand bytes."""
        part, self._rest = self._rest[: min(size, 1000)], self._rest[min(size, 1000) :]
        return part


@vectors
def test_streams_are_sources_too(vector: Vector) -> None:
    """A stream is read from its position on, whether it can be sought or not."""
    data = whole_file(vector.syntax, vector.data)
    seekable = io.BytesIO(b"before" + data)
    seekable.seek(6)
    expected = raised(raised(read_bytes(data)).dataset())
    for stream in (seekable, Pipe(data)):
        instance = raised(read_stream(stream))
        assert raised(instance.dataset()) == expected


def test_of_a_stream_that_can_be_sought_only_the_head_is_read() -> None:
    """The pixels of a file in an archive or an object store stay where they are."""
    reads: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            reads.append(len(data))
            return data

    pixels = b"\xe0\x7f\x10\x00" + struct.pack("<2sHI", b"OW", 0, 1 << 22) + bytes(1 << 22)
    data = whole_file(EXPLICIT_VR_LITTLE_ENDIAN, b"\x08\x00\x60\x00CS\x02\x00CT" + pixels)
    dataset = raised(raised(read_stream(Counted(data))).dataset(until="PixelData"))
    assert dataset["Modality"] == "CT"
    assert sum(reads) < 200_000


def test_a_stream_without_end_is_cut_off() -> None:
    """More bytes than the limit are refused before they fill the disk."""
    error = read_stream(Pipe(bytes(5_000)), "the upload", limit=4_000).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "the upload" in error.message


def test_a_stream_that_fails_is_a_failure() -> None:
    """An error of the stream is told, not raised."""

    class Broken(Pipe):
        def read(self, size: int = -1) -> bytes:
            raise OSError("connection reset")

    error = read_stream(Broken(b"")).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert "connection reset" in error.message
