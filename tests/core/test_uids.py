"""UIDs: which texts are some, and new ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    MAX_UID_LENGTH,
    checked_uid,
    is_valid_uid,
    new_uid,
    parse_uid,
)


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008.1.1", "2.25." + "9" * 39, "1.2.03", "1" * 64])
def test_valid(uid: str) -> None:
    """Digits in components, at most 64 characters; leading zeros are tolerated."""
    assert is_valid_uid(uid)
    assert parse_uid(uid).unwrap() == uid
    assert checked_uid(uid, "it") == uid


@pytest.mark.parametrize(
    "text",
    [".", "1.", ".1", "1..2", "1.2 ", "1.2\n", "1/2", "../1", "1.2.a", "1" * 65, "१.२", "1\0"],
)
def test_invalid(text: str) -> None:
    """Anything else is refused; such a text could otherwise name a file."""
    assert not is_valid_uid(text)
    with pytest.raises(PacsException, match="the thing's UID") as caught:
        checked_uid(text, "the thing's UID")
    assert caught.value.error.code is ErrorCode.INVALID_UID


def test_missing() -> None:
    """No text at all is a missing UID."""
    assert not is_valid_uid("")
    assert parse_uid(" \0").failure().code is ErrorCode.MISSING_REQUIRED_VALUE


def test_padding_is_removed() -> None:
    """A UID as it stands in a message, padded to even length, is understood."""
    assert parse_uid("1.2.3\0").unwrap() == "1.2.3"


def test_long_nonsense_is_cut() -> None:
    """A hostile UID doesn't fill the log."""
    assert len(parse_uid("x" * 100_000).failure().message) < 250


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_numbers_with_dots(components: list[int]) -> None:
    """Numbers joined by dots are a UID while they are short enough."""
    uid = ".".join(map(str, components))
    assert is_valid_uid(uid) is (len(uid) <= MAX_UID_LENGTH)


def test_new() -> None:
    """New UIDs are valid, under 2.25 (PS3.5 B.2), and differ."""
    made = {new_uid() for _ in range(100)}
    assert len(made) == 100
    assert all(is_valid_uid(uid) and uid.startswith("2.25.") for uid in made)
    assert all(int(uid.removeprefix("2.25.")) < 1 << 128 for uid in made)


def test_this_implementation() -> None:
    """Class UID and version name fit their fields (PS3.7 D.3.3.2)."""
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16
    assert IMPLEMENTATION_VERSION_NAME.isascii()
