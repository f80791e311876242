"""Command sets as bytes: what the standard lays out, what peers send, what is refused."""

from __future__ import annotations

import struct

import attrs
import pytest

from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CGetRSP,
    CMoveRQ,
    CommandField,
    CStoreRQ,
    CStoreRSP,
    NCreateRQ,
    NGetRQ,
    NSetRSP,
    Response,
    Status,
    UnsupportedRQ,
    UnsupportedRSP,
    decode_command,
    encode_command,
)
from tests.network.dimse_helpers import element, read_or_refuse, refusal, split, us
from tests.network.dimse_normalized_vectors import NORMALIZED_VECTORS
from tests.network.dimse_vectors import VECTORS, Vector

every_vector = pytest.mark.parametrize(
    "vector", [*VECTORS, *NORMALIZED_VECTORS], ids=lambda vector: vector.name
)

ECHO = us(0x0100, CommandField.C_ECHO_RQ), us(0x0110, 7), us(0x0800, 0x0101)


# -- vectors ---------------------------------------------------------------------------------


@every_vector
def test_a_message_is_written_as_the_standard_lays_it_out(vector: Vector) -> None:
    """Elements in the order of their tags, after a group length that is right."""
    assert encode_command(vector.message, has_dataset=vector.has_dataset) == vector.data
    (group_length,) = struct.unpack_from("<L", vector.data, 8)
    assert group_length == len(vector.data) - 12


@every_vector
def test_a_message_is_read(vector: Vector) -> None:
    """Every field is found, from any kind of buffer."""
    for data in (vector.data, bytearray(vector.data), memoryview(vector.data)):
        decoded = decode_command(data)
        assert decoded.message == vector.message
        assert decoded.has_dataset is vector.has_dataset


@every_vector
def test_elements_may_come_in_any_order(vector: Vector) -> None:
    """Some peers don't sort their elements; nothing depends on it."""
    decoded = decode_command(b"".join(reversed(split(vector.data))))
    assert decoded.message == vector.message
    assert decoded.has_dataset is vector.has_dataset


@every_vector
def test_a_cut_message_is_refused_or_lacks_what_was_cut(vector: Vector) -> None:
    """A cut within an element is an error; one between elements never makes things up."""
    ends = {len(b"".join(split(vector.data)[:count])) for count in range(20)}
    for length in range(len(vector.data)):
        if length not in ends:
            refusal(vector.data[:length])
            continue
        message = read_or_refuse(vector.data[:length])
        if message is not None:
            assert type(message) is type(vector.message)
            for field in attrs.fields(type(message)):
                whole = getattr(vector.message, field.name)
                assert getattr(message, field.name) in (whole, field.default)


@every_vector
def test_bytes_behind_a_message_are_refused(vector: Vector) -> None:
    """What follows the last element must be an element too."""
    for count in range(1, 8):
        assert f"byte {len(vector.data)}" in refusal(vector.data + bytes(count))
    assert f"byte {len(vector.data)}" in refusal(vector.data + split(vector.data)[-1])


FAILED_LIST = element(0x0000, (16).to_bytes(4, "little"), 0x0008) + element(
    0x0058, b"1.2.3.4\0", 0x0008
)


@every_vector
def test_an_identifier_in_the_command_is_passed_over_behind_a_response(vector: Vector) -> None:
    """Orthanc writes the Failed SOP Instance UID List so, and announces no data set."""
    data = vector.data + FAILED_LIST
    if isinstance(vector.message, Response) and not vector.has_dataset:
        assert decode_command(data).message == vector.message
        wrong = element(0, bytes(4))  # the group length: nobody says where the command ends
        assert f"byte {len(vector.data)}" in refusal(wrong + data[12:])
        assert "is no command element" in refusal(data[12:])
    else:
        assert f"byte {len(vector.data)}" in refusal(data)


# -- tolerance -------------------------------------------------------------------------------


def test_unknown_elements_are_skipped() -> None:
    """Retired and later elements of group 0000 mean nothing to us (PS3.7 Annex E.2)."""
    retired = element(0x0010, b"ACR-NEMA 2.0")  # Recognition Code
    decoded = decode_command(b"".join(ECHO) + retired + element(0x5180, b""))
    assert decoded.message == CEchoRQ(7)


def test_optional_elements_may_be_missing() -> None:
    """A response needs no UIDs; a request without priority has the medium one."""
    response = decode_command(us(0x0100, 0x8001) + us(0x0120, 3) + us(0x0900, 0)).message
    assert response == CStoreRSP(3, Status.SUCCESS)
    find = us(0x0100, 0x0020) + us(0x0110, 3) + element(0x0002, b"1.2\0")
    assert decode_command(find).message == CFindRQ(3, "1.2")


def test_an_empty_number_is_a_missing_one() -> None:
    """Some peers send sub-operation counts without a value (PS3.7 6.3.1 allows length 0)."""
    data = us(0x0100, 0x8010) + us(0x0120, 3) + us(0x0900, 0) + element(0x1020, b"")
    assert decode_command(data).message == CGetRSP(3, Status.SUCCESS)


def test_any_data_set_type_but_0101_announces_one() -> None:
    """Only 0101H says that there is no data set (PS3.7 E.1); peers announce with 0000H or 0001H."""
    for value in (0x0000, 0x0001, 0x0102, 0xFFFF):
        assert decode_command(b"".join(ECHO[:2]) + us(0x0800, value)).has_dataset is True
    assert decode_command(b"".join(ECHO)).has_dataset is False


def test_no_data_set_type_is_no_data_set() -> None:
    """The element is mandatory; where it is left out nothing was announced."""
    assert decode_command(b"".join(ECHO[:2])).has_dataset is False


def test_padding_of_either_kind_is_removed() -> None:
    """UIDs padded with spaces and titles with NUL are common mistakes."""
    data = b"".join(
        (
            us(0x0100, 0x0001),
            us(0x0110, 1),
            element(0x0002, b"1.2 "),
            element(0x1000, b"1.3\0"),
            element(0x1030, b"MOVER\0"),
        )
    )
    assert decode_command(data).message == CStoreRQ(1, "1.2", "1.3", 0, "MOVER")


@pytest.mark.parametrize(
    "group_length", [b"", element(0, b"\0\0\0\0"), element(0, b"\xff\xff\xff\xff"), us(0, 1)]
)
def test_a_missing_or_wrong_group_length_does_no_harm(group_length: bytes) -> None:
    """The length of the last fragment says where the command set ends, not the element."""
    assert decode_command(group_length + b"".join(ECHO)).message == CEchoRQ(7)


def test_values_of_odd_length_are_read() -> None:
    """Some peers don't pad UIDs, titles and comments."""
    move = us(0x0100, 0x0021) + us(0x0110, 1) + element(0x0002, b"1.2") + element(0x0600, b"WEST1")
    assert decode_command(move).message == CMoveRQ(1, "1.2", "WEST1")
    response = us(0x0100, 0x8120) + us(0x0120, 1) + us(0x0900, 0x0110) + element(0x0902, b"why")
    assert decode_command(response).message == NSetRSP(1, 0x0110, error_comment="why")


def test_a_malformed_uid_or_title_is_handed_on() -> None:
    """The request can be answered with a status then, where an error would end in an abort."""
    data = b"".join(
        (
            us(0x0100, 0x0001),
            us(0x0110, 1),
            element(0x0002, b"../etc"),
            element(0x1000, b""),
            element(0x1030, b"\xe9\\"),
        )
    )
    assert decode_command(data).message == CStoreRQ(1, "../etc", "", 0, "\ufffd\\")


def test_an_empty_list_of_tags_is_none() -> None:
    """An Attribute Identifier List without a value asks for all attributes, as none does."""
    data = b"".join(
        (
            us(0x0100, 0x0110),
            us(0x0110, 1),
            element(0x0003, b"1.2\0"),
            element(0x1001, b"1.3\0"),
            element(0x1005, b""),
        )
    )
    assert decode_command(data).message == NGetRQ(1, "1.2", "1.3")


def test_elements_of_other_messages_are_ignored() -> None:
    """An N-CREATE-RQ with a Requested SOP Class UID beside the affected one is read."""
    data = (
        us(0x0100, 0x0140) + us(0x0110, 1) + element(0x0002, b"1.2\0") + element(0x0003, b"1.3\0")
    )
    assert decode_command(data + us(0x0900, 0)).message == NCreateRQ(1, "1.2")


@pytest.mark.parametrize(
    ("field", "kind"), [(0x0022, UnsupportedRQ), (0x0160, UnsupportedRQ), (0x8160, UnsupportedRSP)]
)
def test_an_unknown_operation_is_read_as_far_as_needed_to_answer_it(
    field: int, kind: type[UnsupportedRQ | UnsupportedRSP]
) -> None:
    """An operation of a later edition becomes a value that keeps its Command Field."""
    message = decode_command(us(0x0100, field) + us(0x0110, 5) + us(0x0120, 5)).message
    assert isinstance(message, kind)
    assert message.command_field == field


# -- lies ------------------------------------------------------------------------------------


def test_a_length_past_the_end_is_refused() -> None:
    """An element may not claim more than there is, however much more."""
    for length in (3, 0x7FFFFFFF, 0xFFFFFFFF):
        reason = refusal(us(0x0100, 0x0030) + struct.pack("<HHL", 0, 0x0110, length) + b"\7\0")
        assert f"(0000,0110) claims {length} bytes where 2 remain" in reason


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_number_of_the_wrong_size_is_refused(length: int) -> None:
    """A US value has two bytes (PS3.5 6.2)."""
    reason = refusal(us(0x0100, 0x0030) + element(0x0110, bytes(length)))
    assert f"(0000,0110) has {length} bytes" in reason


@pytest.mark.parametrize("length", [2, 6, 7])
def test_tags_of_the_wrong_size_are_refused(length: int) -> None:
    """An AT value has four bytes (PS3.5 6.2)."""
    reason = refusal(us(0x0100, 0x0110) + element(0x1005, bytes(length)))
    assert f"Attribute Identifier List (0000,1005) has {length} bytes" in reason


@pytest.mark.parametrize("value", [7, 8])
def test_an_element_that_occurs_twice_is_refused(value: int) -> None:
    """PS3.5 7.1 allows each once; whoever takes the first and whoever the last would differ."""
    reason = refusal(b"".join(ECHO) + us(0x0110, value))
    assert reason == "Message ID (0000,0110) occurs again at byte 30"
    assert "Command Data Set Type" in refusal(b"".join(ECHO) + us(0x0800, 0))


def test_an_element_of_another_group_is_refused() -> None:
    """A command set has group 0000 only; a data set in its place is no command."""
    assert "(0010,0010) at byte 10" in refusal(ECHO[0] + element(0x0010, b"Doe^John", 0x0010))


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "no Command Field (0000,0100)"),
        (us(0x0110, 1), "no Command Field (0000,0100)"),
        (us(0x0100, 0x0030), "lacks Message ID (0000,0110)"),
        (us(0x0100, 0x0030) + element(0x0110, b""), "lacks Message ID (0000,0110)"),
        (
            us(0x0100, 0x0001) + us(0x0110, 1),
            "lacks Affected SOP Class UID (0000,0002), Affected SOP Instance UID (0000,1000)",
        ),
        (
            us(0x0100, 0x0021) + us(0x0110, 1) + element(0x0002, b"1.2\0"),
            "lacks Move Destination (0000,0600)",
        ),
        (us(0x0100, 0x8030) + us(0x0120, 1), "lacks Status (0000,0900)"),
        (us(0x0100, 0x0FFF), "lacks Message ID Being Responded To (0000,0120)"),
        (
            us(0x0100, 0x0100) + us(0x0110, 1) + element(0x0002, b"1.2\0"),
            "lacks Affected SOP Instance UID (0000,1000), Event Type ID (0000,1002)",
        ),
        (
            us(0x0100, 0x0130) + us(0x0110, 1) + us(0x1008, 1),
            "lacks Requested SOP Class UID (0000,0003), Requested SOP Instance UID (0000,1001)",
        ),
        (us(0x0100, 0x0140), "lacks Affected SOP Class UID (0000,0002), Message ID (0000,0110)"),
        (us(0x0100, 0x0160), "lacks Message ID (0000,0110)"),
        (us(0x0100, 0x8160), "lacks Message ID Being Responded To (0000,0120)"),
    ],
)
def test_a_message_without_what_it_needs_is_refused(data: bytes, missing: str) -> None:
    """The reason names each element that is missing."""
    assert refusal(data).endswith(missing)


def test_an_answer_to_an_echo_with_an_empty_class_is_of_verification() -> None:
    """As one without it is: the element is optional there (PS3.7 Table 9.3-13)."""
    numbers = ((0x0100, 0x8030), (0x0120, 1), (0x0800, 0x0101), (0x0900, 0))
    without = b"".join(element(number, value.to_bytes(2, "little")) for number, value in numbers)
    assert decode_command(element(0x0002, b"") + without).message == CEchoRSP(1, 0)
    assert decode_command(without).message == CEchoRSP(1, 0)
