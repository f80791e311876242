"""Command sets as bytes: what the standard lays out, what peers send, what is refused."""

from __future__ import annotations

import struct

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import (
    RESPONSE_BIT,
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CommandField,
    CStoreRQ,
    CStoreRSP,
    Message,
    Status,
    StatusCategory,
    UnsupportedRQ,
    UnsupportedRSP,
    decode_command,
    encode_command,
    status_category,
)
from pacs_sdk.network.service import response_to
from tests.network.dimse_vectors import CT_IMAGE, VECTORS, VERIFICATION, Vector

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """Lay out one element."""
    return struct.pack("<HHL", group, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    """Lay out an element of one US value."""
    return element(number, value.to_bytes(2, "little"))


def split(data: bytes) -> list[bytes]:
    """Cut a command set into its elements."""
    elements, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from("<L", data, offset + 4)
        elements.append(data[offset : offset + 8 + length])
        offset += 8 + length
    return elements


ECHO = us(0x0100, CommandField.C_ECHO_RQ), us(0x0110, 7), us(0x0800, 0x0101)


def refusal(data: bytes) -> str:
    """Decode what must not be decoded; return the reason given."""
    with pytest.raises(PacsException) as raised:
        decode_command(data)
    assert raised.value.error.code is ErrorCode.INVALID_DIMSE_MESSAGE
    return raised.value.error.message


def read_or_refuse(data: bytes) -> Message | None:
    """Decode, and return nothing for the documented error; any other is a failure."""
    try:
        return decode_command(data).message
    except PacsException as exc:
        if exc.error.code is not ErrorCode.INVALID_DIMSE_MESSAGE:
            raise
        return None


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
        assert message is None or type(message) is type(vector.message)


@every_vector
def test_bytes_behind_a_message_are_refused(vector: Vector) -> None:
    """What follows the last element must be an element too."""
    assert f"byte {len(vector.data)}" in refusal(vector.data + b"\0\0\0")


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


def test_a_wrong_group_length_does_no_harm() -> None:
    """The length of the last fragment says where the command set ends, not the element."""
    assert decode_command(element(0, b"\0\0\0\0") + b"".join(ECHO)).message == CEchoRQ(7)


@pytest.mark.parametrize(
    ("field", "kind"), [(0x0021, UnsupportedRQ), (0x0140, UnsupportedRQ), (0x8140, UnsupportedRSP)]
)
def test_an_unknown_operation_is_read_as_far_as_needed_to_answer_it(
    field: int, kind: type[UnsupportedRQ | UnsupportedRSP]
) -> None:
    """C-MOVE and N-CREATE become a value that keeps their Command Field."""
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


def test_an_element_of_another_group_is_refused() -> None:
    """A command set has group 0000 only; a data set in its place is no command."""
    assert "(0010,0010) at byte 10" in refusal(ECHO[0] + element(0x0010, b"Doe^John", 0x0010))


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "Command Field (0000,0100)"),
        (us(0x0110, 1), "Command Field (0000,0100)"),
        (us(0x0100, 0x0030), "(0000,0110)"),
        (us(0x0100, 0x0001) + us(0x0110, 1), "(0000,0002), (0000,1000)"),
        (us(0x0100, 0x8030) + us(0x0120, 1), "(0000,0900)"),
        (us(0x0100, 0x0FFF), "(0000,0120)"),
        (us(0x0100, 0x0140), "(0000,0110)"),
        (us(0x0100, 0x8140), "(0000,0120)"),
    ],
)
def test_a_message_without_what_it_needs_is_refused(data: bytes, missing: str) -> None:
    """The reason names each element that is missing."""
    assert missing in refusal(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but a message or the documented error comes of any bytes."""
    message = read_or_refuse(data)
    assert message is None or message.command_field >= 0


@given(
    st.sampled_from(VECTORS),
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


# -- the strict writer -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        CEchoRQ(0x10000),
        CEchoRQ(-1),
        CStoreRQ(1, "1." * 32 + "1", "1.2"),
        CStoreRQ(1, CT_IMAGE, "1.2.é"),
        CStoreRQ(1, CT_IMAGE, "1.2", 0, "SEVENTEEN_LETTERS"),
    ],
)
def test_a_value_that_does_not_fit_its_element_is_not_written(message: Message) -> None:
    """A number beyond 16 bits, a UID beyond 64 characters, a title beyond 16."""
    with pytest.raises(PacsException) as raised:
        encode_command(message, has_dataset=False)
    assert raised.value.error.code is ErrorCode.INVALID_DIMSE_MESSAGE


def test_an_error_comment_is_made_to_fit() -> None:
    """A comment may hold anything an exception said: it is cut and cleaned, never a failure."""
    comment = 'no space on "C:\\spool"\nfür ' + 100 * "x"
    response = CStoreRSP(1, Status.OUT_OF_RESOURCES, error_comment=comment)
    decoded = decode_command(encode_command(response, has_dataset=False)).message
    assert isinstance(decoded, CStoreRSP)
    assert decoded.error_comment.startswith('no space on "C:/spool" f?r xxx')
    assert len(decoded.error_comment) == 64


def test_a_response_leaves_out_a_uid_that_is_none() -> None:
    """A peer's malformed UID does not keep us from answering it."""
    response = response_to(CStoreRQ(1, CT_IMAGE, 70 * "1"), 0x0106, "not a UID")
    assert response == CStoreRSP(1, 0x0106, CT_IMAGE, error_comment="not a UID")
    assert encode_command(response, has_dataset=False)


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (CEchoRQ(1), CEchoRSP(1, 0x0110, error_comment="why")),
        (CStoreRQ(2, CT_IMAGE, "1.2"), CStoreRSP(2, 0x0110, CT_IMAGE, "1.2", "why")),
        (CFindRQ(3, "1.5"), CFindRSP(3, 0x0110, "1.5", "why")),
        (CGetRQ(4, "1.6"), CGetRSP(4, 0x0110, "1.6", error_comment="why")),
        (
            UnsupportedRQ(0x0110, 5, requested_sop_class_uid=VERIFICATION),
            UnsupportedRSP(0x8110, 5, 0x0110, VERIFICATION, "why"),
        ),
    ],
)
def test_every_request_has_its_response(
    request_: CEchoRQ | CStoreRQ | CFindRQ | CGetRQ | UnsupportedRQ,
    response: CEchoRSP | CStoreRSP | CFindRSP | CGetRSP | UnsupportedRSP,
) -> None:
    """The response's Command Field is the request's with the highest bit set (PS3.7 E.1)."""
    assert response_to(request_, 0x0110, "why") == response
    assert response.command_field == request_.command_field | RESPONSE_BIT


# -- round trip --------------------------------------------------------------------------------

_numbers = st.integers(0, 0xFFFF)
_uids = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", fullmatch=True)
_letters = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\")
_titles = st.text(_letters, max_size=16).map(str.strip)
_comments = st.text(_letters, max_size=64).map(str.strip)
_counts = st.none() | _numbers

_messages: SearchStrategy[Message] = st.one_of(
    st.builds(CEchoRQ, _numbers, _uids),
    st.builds(CEchoRSP, _numbers, _numbers, _uids, _comments),
    st.builds(CStoreRQ, _numbers, _uids, _uids, _numbers, _titles, _counts),
    st.builds(CStoreRSP, _numbers, _numbers, _uids, _uids, _comments),
    st.builds(CFindRQ, _numbers, _uids, _numbers),
    st.builds(CFindRSP, _numbers, _numbers, _uids, _comments),
    st.builds(CGetRQ, _numbers, _uids, _numbers),
    st.builds(CGetRSP, _numbers, _numbers, _uids, _counts, _counts, _counts, _counts, _comments),
    st.builds(CCancelRQ, _numbers),
    st.builds(UnsupportedRQ, st.just(0x0021), _numbers, _uids, _uids),
    st.builds(UnsupportedRSP, st.just(0x8021), _numbers, _numbers, _uids, _comments),
)


@given(_messages, st.booleans())
def test_a_message_that_is_written_is_read_again(message: Message, has_dataset: bool) -> None:
    """Writing and reading give back the same value; the bytes are even and sorted."""
    data = encode_command(message, has_dataset=has_dataset)
    decoded = decode_command(data)
    assert decoded.message == message
    assert decoded.has_dataset is has_dataset
    tags = [piece[2:4][::-1] for piece in split(data)]
    assert tags == sorted(tags)
    assert all(len(piece) % 2 == 0 for piece in split(data))


def test_every_attribute_of_every_message_is_an_element() -> None:
    """A field that the table of elements forgot would be dropped in silence."""
    full = CStoreRQ(1, "1.2", "1.3", 2, "MOVER", 4)
    assert all(value not in ("", None) for value in attrs.astuple(full))
    assert decode_command(encode_command(full, has_dataset=True)).message == full


# -- statuses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (0x0000, StatusCategory.SUCCESS),
        (0xFF00, StatusCategory.PENDING),
        (0xFF01, StatusCategory.PENDING),
        (0xFE00, StatusCategory.CANCEL),
        (0x0001, StatusCategory.WARNING),  # requested optional attributes not supported
        (0x0107, StatusCategory.WARNING),  # attribute list error
        (0x0116, StatusCategory.WARNING),  # attribute value out of range
        (0xB000, StatusCategory.WARNING),
        (0xB007, StatusCategory.WARNING),
        (0xBFFF, StatusCategory.WARNING),
        (0xA700, StatusCategory.FAILURE),
        (0xA900, StatusCategory.FAILURE),
        (0xC000, StatusCategory.FAILURE),
        (0x0110, StatusCategory.FAILURE),
        (0x0122, StatusCategory.FAILURE),
        (0xFF02, StatusCategory.FAILURE),
        (0x1234, StatusCategory.FAILURE),
    ],
)
def test_statuses_fall_into_five_kinds(status: int, category: StatusCategory) -> None:
    """PS3.7 Annex C; a status nobody defined is a failure, never a success."""
    assert status_category(status) is category


# -- another implementation --------------------------------------------------------------------


def test_pynetdicom_writes_the_same_c_store_request() -> None:
    """Another implementation's bytes of C-STORE-RQ are ours."""
    messages = pytest.importorskip("pynetdicom.dimse_messages")
    primitives = pytest.importorskip("pynetdicom.dimse_primitives")
    primitive = primitives.C_STORE()
    primitive.MessageID = 2
    primitive.AffectedSOPClassUID = CT_IMAGE
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 9
    message = messages.C_STORE_RQ()
    message.primitive_to_message(primitive)
    (fragment,) = message.encode_msg(1, 0)
    ((_, value),) = fragment.presentation_data_value_list
    ours = encode_command(CStoreRQ(2, CT_IMAGE, "1.2.3", 2, "MOVER", 9), has_dataset=False)
    assert value[1:] == ours
