"""Inflating and deflating data sets."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.datasets.deflated import check_inflates, deflate, inflate, inflate_beginning


@given(st.binary(max_size=2000))
def test_there_and_back(data: bytes) -> None:
    """What was deflated inflates to the same, and has an even number of bytes."""
    deflated = deflate(data)
    assert len(deflated) % 2 == 0
    assert inflate(deflated) == data


def test_stream_is_raw() -> None:
    """The stream has no zlib header (PS3.5 A.5, RFC 1951); zlib inflates it as such."""
    assert zlib.decompress(deflate(b"abc"), wbits=-15) == b"abc"


@pytest.mark.parametrize("after", [b"\0", b"rubbish"])
def test_bytes_after_the_stream(after: bytes) -> None:
    """Padding and rubbish after the end of the stream are ignored."""
    assert inflate(deflate(b"abc") + after) == b"abc"


def test_bomb() -> None:
    """More than the limit is refused, however small the stream is."""
    bomb = deflate(bytes(1_000_000))
    assert len(bomb) < 2000
    assert len(inflate(bomb, 1_000_000)) == 1_000_000
    with pytest.raises(PacsException) as caught:
        inflate(bomb, 999_999)
    assert caught.value.error.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("check", [inflate, check_inflates])
def test_every_cut_is_noticed(check: Callable[[bytes], object]) -> None:
    """A stream without its end is truncated, wherever it was cut."""
    stream = zlib.compress(b"PatientName" * 30, wbits=-15)
    for length in range(len(stream)):
        with pytest.raises(PacsException) as caught:
            check(stream[:length])
        assert caught.value.error.code is ErrorCode.TRUNCATED


def test_a_limit_that_just_suffices() -> None:
    """The limit may be the size; whatever the stream still holds back then is its end."""
    for size in range(2000):
        stream = deflate(bytes(size))
        assert len(inflate(stream, size)) == size
        assert inflate_beginning(stream, size + 1) == (bytes(size), True)
        check_inflates(stream, size)


def test_checking_has_the_same_limit() -> None:
    """A bomb is counted, not kept, and refused above the limit."""
    bomb = deflate(bytes(1_000_000))
    check_inflates(bomb, 1_000_000)
    with pytest.raises(PacsException) as caught:
        check_inflates(bomb, 999_999)
    assert caught.value.error.code is ErrorCode.LIMIT_EXCEEDED


@given(st.binary(max_size=2000), st.integers(1, 2500))
def test_beginning(data: bytes, most: int) -> None:
    """A beginning has as many bytes as wanted, or all there are."""
    beginning, whole = inflate_beginning(deflate(data), most)
    assert beginning == data[:most]
    assert not (whole and most < len(data))


def test_beginning_of_a_cut_stream() -> None:
    """The beginning of a stream that is cut off later is there; the rest is not."""
    stream = deflate(bytes(range(256)) * 4)
    assert inflate_beginning(stream[:200], 100)[0] == bytes(range(100))
    with pytest.raises(PacsException) as caught:
        inflate_beginning(stream[:200], 1024)
    assert caught.value.error.code is ErrorCode.TRUNCATED


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes inflate or are refused with a code."""
    try:
        inflate(data, 100_000)
    except PacsException as exc:
        codes = (ErrorCode.DECODE_FAILED, ErrorCode.TRUNCATED, ErrorCode.LIMIT_EXCEEDED)
        assert exc.error.code in codes  # noqa: PT017  # a value is as good an outcome
