"""Damaged files: whatever the bytes, there is a value or a failure with a code, no crash."""

from __future__ import annotations

import contextlib
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import (
    INDEX_TAGS,
    Instance,
    all_transfer_syntaxes,
    decode_dataset,
    encode_dataset,
    read_bytes,
    read_file,
    scan_header,
)
from tests.encoding.dataset_vectors import VECTORS
from tests.encoding.shipped import path_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

FILES: Final = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "image_dfl.dcm",
    "nested_priv_SQ.dcm",
    "priv_SQ.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "test-SR.dcm",
    "UN_sequence.dcm",
)
"""One of each layout and of each way to nest."""

TRICKY: Final = (
    b"\xff\xff\xff\xff",
    b"\xfe\xff\xff\xff",
    b"\0\0\0\0",
    b"SQ\0\0\xff\xff\xff\xff",
    b"UN\0\0\xff\xff\xff\xff",
    b"OB\0\0\xff\xff\xff\xff",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"\xff\xfe\xe0\x00\xff\xff\xff\xff",
    b"\xe0\x7f\x10\x00",
    b"ISO 2022 IR 87",
)
"""Bytes that mean something to a reader: lengths, delimiters, VRs."""


def _data_sets() -> list[tuple[str, Instance]]:
    read = ((name, read_file(path_of(name))) for name in FILES)
    return [(name, result.unwrap()) for name, result in read if isinstance(result, Success)]


DATA_SETS: Final = _data_sets()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Overwrite, insert, remove or cut some bytes, mostly near the beginning."""
    bytes_now = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        near = min(len(bytes_now), 1500)
        end = draw(st.sampled_from([near, near, near, len(bytes_now)]))
        at = draw(st.integers(0, max(end - 1, 0)))
        inserted = draw(st.one_of(st.sampled_from(TRICKY), st.binary(min_size=1, max_size=6)))
        match draw(st.sampled_from(["overwrite", "overwrite", "insert", "remove", "cut"])):
            case "overwrite":
                bytes_now[at : at + len(inserted)] = inserted
            case "insert":
                bytes_now[at:at] = inserted
            case "remove":
                del bytes_now[at : at + draw(st.integers(1, 12))]
            case _:
                del bytes_now[at + draw(st.integers(0, 2000)) :]
    return bytes(bytes_now)


def checked(result: PacsResult[object]) -> None:
    """Fail unless this is a value, or an error with a code and words."""
    match result:
        case Success(_):
            return
        case Failure(PacsError(code=ErrorCode(), message=str(message))) if message:
            return
    pytest.fail(f"neither a value nor an error: {result!r}")


@given(st.data())
@settings(max_examples=300)
def test_damaged_data_sets(data: st.DataObject) -> None:
    """Scanning, decoding, showing and encoding a damaged data set never crash."""
    _, original = data.draw(st.sampled_from(DATA_SETS), label="file")
    encoded = data.draw(damaged(bytes(original.encoded.view())), label="damaged")
    instance = Instance("1.2", "1.2.3", original.transfer_syntax_uid, MemoryBytes(encoded))
    header = instance.header()
    checked(header)
    for found in [header.unwrap()] if isinstance(header, Success) else []:
        for tag in INDEX_TAGS:
            assert isinstance(found.text(tag), str)
            assert all(isinstance(text, str) for text in found.texts(tag))
            assert isinstance(found.integer(tag), int | None)
            assert isinstance(found.floats(tag), tuple)
    dataset = instance.dataset()
    checked(dataset)
    checked(instance.frames())
    for decoded in [dataset.unwrap()] if isinstance(dataset, Success) else []:
        assert all(isinstance(cell, str) for row in decoded.rows() for cell in row)
        checked(encode_dataset(decoded, instance.syntax))


@given(st.data())
@settings(max_examples=150)
def test_damaged_files(data: st.DataObject) -> None:
    """Opening a damaged file gives an instance or a failure."""
    name = data.draw(st.sampled_from(FILES), label="file")
    file = data.draw(damaged(path_of(name).read_bytes()), label="damaged")
    result = read_bytes(file)
    checked(result)
    if isinstance(result, Success):
        checked(result.unwrap().header())


@given(
    data=st.one_of(
        st.binary(max_size=300), st.lists(st.sampled_from(TRICKY), max_size=40).map(b"".join)
    ),
    syntax=st.sampled_from(all_transfer_syntaxes()),
)
def test_any_bytes(data: bytes, syntax: object) -> None:
    """Bytes that never were a data set are scanned, decoded and opened without a crash."""
    for known in all_transfer_syntaxes():
        if known is syntax:
            checked(scan_header(data, known))
            checked(decode_dataset(data, known))
    checked(read_bytes(data))


@given(st.data())
def test_scanner_and_reader_agree(data: st.DataObject) -> None:
    """Where a damaged data set can be decoded, the header has the same values."""
    vector = data.draw(st.sampled_from(VECTORS), label="vector")
    encoded = data.draw(damaged(vector.data), label="damaged")
    dataset = decode_dataset(encoded, vector.syntax)
    header = scan_header(encoded, vector.syntax)
    if not isinstance(dataset, Success) or not isinstance(header, Success):
        return
    for tag, value in raised(header).raw.items():
        raw = raised(dataset).pydicom.get_item(tag)
        assert raw is not None
        with contextlib.suppress(AttributeError):  # a sequence has no value bytes
            assert (raw.value or b"") == value
