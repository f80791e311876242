"""What holds for all command sets: of every message, and of any bytes at all."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pacs_sdk.network.dimse import (
    REQUEST_TYPES,
    RESPONSE_TYPES,
    CCancelRQ,
    CEchoRSP,
    CStoreRSP,
    Message,
    Priority,
    UnsupportedRQ,
    UnsupportedRSP,
    decode_command,
    encode_command,
    encoder,
)
from tests.network.dimse_helpers import element, read_or_refuse, split
from tests.network.dimse_normalized_vectors import NORMALIZED_VECTORS
from tests.network.dimse_vectors import VECTORS, Vector

ALL_VECTORS: Final = (*VECTORS, *NORMALIZED_VECTORS)
MESSAGE_CLASSES: Final = (*REQUEST_TYPES, *RESPONSE_TYPES, CCancelRQ)

_numbers = st.integers(0, 0xFFFF)
_uids = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", fullmatch=True)
_letters = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\")
_titles = st.text(_letters, min_size=1, max_size=16).map(str.strip).filter(bool)
_comments = st.text(_letters, max_size=64).map(str.strip)
_tags = st.lists(st.integers(0, 0xFFFFFFFF), max_size=5).map(tuple)

_VALUES: Final[dict[str, SearchStrategy[Any]]] = {
    "priority": st.sampled_from(Priority),
    "move_destination": _titles,
    "move_originator_ae_title": st.just("") | _titles,
    "error_comment": _comments,
    "offending_element": _tags,
    "attribute_identifier_list": _tags,
}


def _value_of(kind: type[Any], field: attrs.Attribute[Any]) -> SearchStrategy[Any]:
    """Draw what an attribute may hold: by its name, else by what stands for its absence."""
    if field.name == "command_field":
        return st.just(0x0160 if kind is UnsupportedRQ else 0x8160)
    if field.name in _VALUES:
        return _VALUES[field.name]
    values = _uids if field.name.endswith("_uid") else _numbers
    if field.default in ("", None) and field.default is not attrs.NOTHING:
        return st.just(field.default) | values
    return values


def messages_of(kind: type[Any]) -> SearchStrategy[Message]:
    """Draw messages of one class, all their attributes included."""
    return st.builds(kind, **{one.name: _value_of(kind, one) for one in attrs.fields(kind)})


_texts = _uids | st.text(st.characters(max_codepoint=0xFF), max_size=80)


@pytest.mark.parametrize(
    ("command_field", "tags"),
    [(0x0001, (0x0110, 0x0700, 0x0800)), (0x8001, (0x0120, 0x0800, 0x0900))],
    ids=["request", "response"],
)
@given(_texts, _texts, st.tuples(_numbers, _numbers, _numbers))
def test_the_usual_c_store_is_read_as_any_message(
    command_field: int,
    tags: tuple[int, ...],
    sop_class_uid: str,
    sop_instance_uid: str,
    values: tuple[int, ...],
) -> None:
    """Whatever its values are; one more element, which means nothing, makes it unusual."""
    numbers = ((0x0100, command_field), *zip(tags, values, strict=True))
    usual = (
        element(0x0000, bytes(4))
        + element(0x0002, sop_class_uid.encode("latin-1"))
        + b"".join(element(number, value.to_bytes(2, "little")) for number, value in numbers)
        + element(0x1000, sop_instance_uid.encode("latin-1"))
    )
    assert decode_command(usual) == decode_command(usual + element(0x7777, b""))


@given(
    st.builds(
        CStoreRSP,
        _numbers,
        _numbers,
        _uids | st.just(""),
        _uids | st.just(""),
        error_id=st.none() | _numbers,
    )
)
def test_the_usual_answer_to_a_c_store_is_written_as_any_message(answer: CStoreRSP) -> None:
    """It is the one that every image gets, in one step unless it has an error's number."""
    written = encoder._written(answer, False)
    assert encode_command(answer, has_dataset=False) == written
    usual = None if answer.error_id is not None else written
    assert encoder._usual_store_answer(answer) == usual


@pytest.mark.parametrize("kind", MESSAGE_CLASSES, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(st.data(), st.booleans())
def test_a_message_that_is_written_is_read_again(
    kind: type[Any], data: st.DataObject, has_dataset: bool
) -> None:
    """Writing and reading give back the same value; the bytes are even, sorted and counted."""
    message = data.draw(messages_of(kind))
    encoded = encode_command(message, has_dataset=has_dataset)
    decoded = decode_command(encoded)
    assert decoded.message == message
    assert type(decoded.message) is kind
    assert decoded.has_dataset is has_dataset
    pieces = split(encoded)
    tags = [piece[2:4][::-1] for piece in pieces]
    assert tags == sorted(set(tags))
    assert all(len(piece) % 2 == 0 for piece in pieces)
    assert pieces[0] == element(0, (len(encoded) - 12).to_bytes(4, "little"))


@given(st.text(max_size=70))
def test_what_is_left_of_a_comment_is_written_in_the_same_way_again(comment: str) -> None:
    """Whatever an error said: what the peer reads of it is what was written, to the byte."""
    written = encode_command(CEchoRSP(1, 0x0110, error_comment=comment), has_dataset=False)
    read = decode_command(written).message
    assert encode_command(read, has_dataset=False) == written


@pytest.mark.parametrize("kind", MESSAGE_CLASSES, ids=lambda kind: kind.__name__)
def test_every_attribute_of_every_message_is_an_element(kind: type[Any]) -> None:
    """A field that the table of elements forgot would be dropped in silence."""
    filled = {"US": 1, "UID": "1.2", "TAGS": (0x00100010,), "TEXT": "WEST"}

    def some_value(field: attrs.Attribute[Any]) -> object:
        if field.name == "command_field":
            return 0x0160 if kind is UnsupportedRQ else 0x8160
        if field.name.endswith("_uid"):
            return filled["UID"]
        if field.name in ("offending_element", "attribute_identifier_list"):
            return filled["TAGS"]
        if field.name in ("error_comment", "move_destination", "move_originator_ae_title"):
            return filled["TEXT"]
        return filled["US"]

    full = kind(**{field.name: some_value(field) for field in attrs.fields(kind)})
    encoded = encode_command(full, has_dataset=True)
    # Group Length and Command Data Set Type are no attributes; Command Field mostly isn't.
    has_own_field = kind not in (UnsupportedRQ, UnsupportedRSP)
    assert len(split(encoded)) == len(attrs.fields(kind)) + 2 + has_own_field
    assert decode_command(encoded).message == full


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but a message or the documented error comes of any bytes."""
    message = read_or_refuse(data)
    assert message is None or message.command_field >= 0


_elements = st.builds(
    element,
    st.sampled_from((0x0002, 0x0003, 0x0100, 0x0110, 0x0120, 0x0600, 0x0700, 0x0800, 0x0900))
    | st.sampled_from((0x0901, 0x0902, 0x0903, 0x1000, 0x1001, 0x1002, 0x1005, 0x1008, 0x1021))
    | _numbers,
    st.sampled_from((b"", b"\1\0", b"\x20\x80", b"1.2\0", b"\x50\x01")) | st.binary(max_size=20),
)


@given(st.lists(_elements, max_size=12).map(b"".join))
def test_arbitrary_elements_are_read_or_refused(data: bytes) -> None:
    """Well-formed elements that make no sense together are no way around the checks."""
    message = read_or_refuse(data)
    assert message is None or message.command_field >= 0


@given(
    st.sampled_from(ALL_VECTORS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_damaged_messages_are_read_or_refused(
    vector: Vector, damage: list[tuple[int, int]]
) -> None:
    """Wrong bytes in a good message give another message or the documented error."""
    data = bytearray(vector.data)
    for place, value in damage:
        data[place % len(data)] = value
    message = read_or_refuse(bytes(data))
    assert message is None or message.command_field >= 0
