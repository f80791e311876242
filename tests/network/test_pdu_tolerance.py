"""What peers send that the standard does not say: where the reader is tolerant, and how far.

A peer's request is put together here item by item, so that one thing at a time is odd.
"""

from __future__ import annotations

import struct

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network.negotiation import negotiate
from pacs_sdk.network.pdu import (
    AAssociateAC,
    AAssociateRQ,
    AbortReason,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
)
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from pacs_sdk.network.pdu_user_information import MAXIMUM_LENGTH_IF_UNSTATED
from pacs_sdk.network.user_information import (
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserInformation,
)
from tests.network.negotiation_helpers import POLICY
from tests.network.pdu_vectors import CT_IMAGE, IMPLICIT_LE, VERIFICATION


def _item(kind: int, content: bytes, reserved: int = 0) -> bytes:
    """Put an item together: type, reserved, 2-byte length, content (PS3.8 9.3.1)."""
    return struct.pack(">BBH", kind, reserved, len(content)) + content


def _field(content: bytes) -> bytes:
    """Put a field with a 2-byte length before it together."""
    return struct.pack(">H", len(content)) + content


APPLICATION_CONTEXT = _item(0x10, b"1.2.840.10008.3.1.1.1")
ABSTRACT_SYNTAX = _item(0x30, VERIFICATION.encode())
TRANSFER_SYNTAX = _item(0x40, IMPLICIT_LE.encode())
CONTEXT = _item(0x20, b"\x01\x00\x00\x00" + ABSTRACT_SYNTAX + TRANSFER_SYNTAX)
MAXIMUM_LENGTH = _item(0x51, b"\x00\x00\x40\x00")
IMPLEMENTATION = _item(0x52, b"1.2.3")
USER_INFORMATION = _item(0x50, MAXIMUM_LENGTH + IMPLEMENTATION)
UNKNOWN = _item(0xEE, b"???")


def _pdu(  # the fields of Tables 9-11 and 9-17 in their order
    *items: bytes,
    kind: int = 0x01,
    version: int = 1,
    called: bytes = b"ARCHIVE         ",
    calling: bytes = b"MODALITY1       ",
    reserved: int = 0,
) -> bytes:
    """Put an A-ASSOCIATE-RQ or -AC together; by default with all it needs."""
    items = items or (APPLICATION_CONTEXT, CONTEXT, USER_INFORMATION)
    body = (
        struct.pack(">H", version)
        + bytes([reserved] * 2)
        + called
        + calling
        + bytes([reserved] * 32)
        + b"".join(items)
    )
    return struct.pack(">BBL", kind, reserved, len(body)) + body


def _request(data: bytes) -> AAssociateRQ:
    pdu = decode_pdu(data)
    assert isinstance(pdu, AAssociateRQ)
    return pdu


def _accept(data: bytes) -> AAssociateAC:
    pdu = decode_pdu(data)
    assert isinstance(pdu, AAssociateAC)
    return pdu


def _information(*sub_items: bytes) -> UserInformation:
    """Read a request with such sub-items beside the two that are required."""
    content = MAXIMUM_LENGTH + IMPLEMENTATION + b"".join(sub_items)
    pdu = _pdu(APPLICATION_CONTEXT, CONTEXT, _item(0x50, content))
    return _request(pdu).user_information


def _refused(data: bytes) -> PacsError:
    with pytest.raises(PacsException) as raised:
        decode_pdu(data)
    assert raised.value.error.code is ErrorCode.INVALID_PDU
    return raised.value.error


PLAIN = AAssociateRQ(
    "ARCHIVE",
    "MODALITY1",
    (PresentationContextRQ(1, VERIFICATION, (IMPLICIT_LE,)),),
    UserInformation(16384, "1.2.3"),
)


# -- the tolerant reader -------------------------------------------------------------------


def test_the_plain_request() -> None:
    """Nothing odd yet: what the tests below start from."""
    assert decode_pdu(_pdu()) == PLAIN
    assert encode_pdu(PLAIN) == _pdu()


def test_reserved_fields_are_not_tested() -> None:
    """PS3.8 9.3.1: a reserved field may hold anything."""
    content = b"\x01\xff\xff\xff" + _item(0x30, VERIFICATION.encode(), reserved=0xFF)
    context = _item(0x20, content + _item(0x40, IMPLICIT_LE.encode(), reserved=0xFF), reserved=0xFF)
    information = _item(0x50, MAXIMUM_LENGTH + IMPLEMENTATION, reserved=0xFF)
    assert decode_pdu(_pdu(APPLICATION_CONTEXT, context, information, reserved=0xFF)) == PLAIN


@pytest.mark.parametrize("place", range(4))
def test_unknown_items_are_skipped(place: int) -> None:
    """PS3.8 9.3.1: items of an unrecognized type are ignored, wherever they stand."""
    items = [APPLICATION_CONTEXT, CONTEXT, USER_INFORMATION]
    items.insert(place, UNKNOWN)
    assert decode_pdu(_pdu(*items)) == PLAIN


@pytest.mark.parametrize("place", range(3))
def test_unknown_sub_items_are_skipped(place: int) -> None:
    """The same holds inside a presentation context and the user information."""
    syntaxes = [ABSTRACT_SYNTAX, TRANSFER_SYNTAX]
    syntaxes.insert(place, UNKNOWN)
    context = _item(0x20, b"\x01\x00\x00\x00" + b"".join(syntaxes))
    sub_items = [MAXIMUM_LENGTH, IMPLEMENTATION]
    sub_items.insert(place, UNKNOWN)
    information = _item(0x50, b"".join(sub_items))
    assert decode_pdu(_pdu(APPLICATION_CONTEXT, context, information)) == PLAIN


def test_items_may_come_in_any_order() -> None:
    """Nothing is found by its place."""
    assert decode_pdu(_pdu(USER_INFORMATION, CONTEXT, APPLICATION_CONTEXT)) == PLAIN


@pytest.mark.parametrize(
    "field",
    [
        b"ARCHIVE         ",
        b"ARCHIVE\0\0\0\0\0\0\0\0\0",
        b"ARCHIVE \0 \0 \0 \0 ",
        b"   ARCHIVE      ",
        b"\0 ARCHIVE       ",
        b"ARCHIVE\0stale AE",
    ],
)
def test_ae_title_padding_is_stripped(field: bytes) -> None:
    """Spaces and NULs around an AE title, and what follows a NUL, are not of it."""
    assert _request(_pdu(called=field)) == PLAIN
    assert _request(_pdu(calling=field)).calling_ae_title == "ARCHIVE"
    assert _accept(_pdu(USER_INFORMATION, kind=0x02, called=field)).called_ae_title == "ARCHIVE"


@pytest.mark.parametrize("field", [b" " * 16, b"\0" * 16])
def test_an_empty_ae_title_is_read(field: bytes) -> None:
    """No AE title at all is for the acceptor to refuse in words, not to abort."""
    assert _request(_pdu(called=field)).called_ae_title == ""


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0 "])
def test_uid_padding_is_stripped(padding: bytes) -> None:
    """A UID padded as in a data set is the UID, in every item that has one."""
    ct = CT_IMAGE.encode() + padding
    context = _item(
        0x20,
        b"\x01\x00\x00\x00"
        + _item(0x30, VERIFICATION.encode() + padding)
        + _item(0x40, IMPLICIT_LE.encode() + padding),
    )
    information = _item(
        0x50,
        MAXIMUM_LENGTH
        + _item(0x52, b"1.2.3" + padding)
        + _item(0x54, _field(ct) + b"\x01\x01")
        + _item(0x56, _field(ct) + b"\x01")
        + _item(0x57, _field(ct) + _field(ct) + _field(_field(ct))),
    )
    request = _request(_pdu(_item(0x10, b"1.2.840.10008.3.1.1.1" + padding), context, information))
    assert request.application_context_name == PLAIN.application_context_name
    assert request.presentation_contexts == PLAIN.presentation_contexts
    assert request.user_information == UserInformation(
        16384,
        "1.2.3",
        role_selections=(RoleSelection(CT_IMAGE, True, True),),
        extended_negotiations=(SopClassExtendedNegotiation(CT_IMAGE, b"\x01"),),
        common_extended_negotiations=(
            SopClassCommonExtendedNegotiation(CT_IMAGE, CT_IMAGE, (CT_IMAGE,)),
        ),
    )


def test_a_context_with_a_uid_that_is_none_is_read() -> None:
    """A broken UID costs a peer the one context, not the association."""
    content = b"\x01\x00\x00\x00" + _item(0x30, b"\xffnot a UID") + TRANSFER_SYNTAX
    request = _request(_pdu(_item(0x20, content)))
    assert request.presentation_contexts[0].abstract_syntax == "\xffnot a UID"


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_an_even_context_id_is_read(context_id: int) -> None:
    """A peer that counts contexts wrongly can still be served."""
    content = bytes([context_id, 0, 0, 0]) + ABSTRACT_SYNTAX + TRANSFER_SYNTAX
    assert _request(_pdu(_item(0x20, content))).presentation_contexts[0].context_id == context_id


def test_required_items_may_be_missing() -> None:
    """What is left out is empty; what the acceptor makes of it is not the reader's to say."""
    request = _request(_pdu(UNKNOWN))
    assert request.application_context_name == ""
    assert request.presentation_contexts == ()
    assert request.user_information == UserInformation(MAXIMUM_LENGTH_IF_UNSTATED, "")
    bare = _request(_pdu(_item(0x20, b"\x01\x00\x00\x00"), _item(0x50, b"")))
    assert bare.presentation_contexts == (PresentationContextRQ(1, "", ()),)
    assert bare.user_information == UserInformation(MAXIMUM_LENGTH_IF_UNSTATED, "")


def test_of_a_repeated_item_the_last_counts() -> None:
    """Items that there should be one of are not summed up."""
    information = _information(_item(0x51, b"\x00\x00\x00\x09"), _item(0x52, b"1.9"))
    assert information == UserInformation(9, "1.9")


def test_longer_numbers_are_read_from_their_start() -> None:
    """A sub-item of fixed width that is longer begins with what is known of it."""
    information = _information(
        _item(0x51, b"\x00\x00\x80\x00\xff\xff"), _item(0x53, b"\x00\x02\x00\x01\xff")
    )
    window = information.asynchronous_operations_window
    assert information.maximum_length == 0x8000
    assert window is not None
    assert (window.maximum_invoked, window.maximum_performed) == (2, 1)


def test_only_one_grants_a_role() -> None:
    """A role is 0 or 1 (PS3.7 Table D.3-9); another number grants nothing."""
    information = _information(_item(0x54, _field(b"1.2") + b"\x02\x01"))
    assert information.role_selections == (RoleSelection("1.2", scu=False, scp=True),)


def test_an_identity_without_passcode_may_end_early() -> None:
    """The length of the secondary field may be left out with the field."""
    information = _information(_item(0x58, b"\x01\x00" + _field(b"alice")))
    assert information.user_identity == UserIdentityRQ(1, b"alice")


def test_an_identity_of_an_unknown_type_is_read() -> None:
    """The acceptor can then refuse it."""
    information = _information(_item(0x58, b"\x09\x01" + _field(b"x") + _field(b"")))
    assert information.user_identity == UserIdentityRQ(9, b"x", b"", True)


def test_an_identity_response_may_be_empty() -> None:
    """For a user name the acceptor has nothing to say but that it agrees."""
    for content in (b"", _field(b"")):
        information = _item(0x50, MAXIMUM_LENGTH + IMPLEMENTATION + _item(0x59, content))
        answer = _accept(_pdu(information, kind=0x02)).user_information
        assert answer.user_identity_response == UserIdentityAC(b"")


def test_a_common_extended_negotiation_may_end_early_or_late() -> None:
    """Without related classes, or with the reserved field of a later edition."""
    information = _information(
        _item(0x57, _field(b"1.2") + _field(b"1.3")),
        _item(0x57, _field(b"1.2") + _field(b"1.3") + _field(_field(b"1.4")) + b"later"),
    )
    assert information.common_extended_negotiations == (
        SopClassCommonExtendedNegotiation("1.2", "1.3"),
        SopClassCommonExtendedNegotiation("1.2", "1.3", ("1.4",)),
    )


@pytest.mark.parametrize("code", [5, 127, 255])
def test_a_reserved_result_refuses_the_context(code: int) -> None:
    """Whatever it means, it does not mean acceptance."""
    context = _item(0x21, bytes([1, 0, code, 0]) + TRANSFER_SYNTAX)
    answer = _accept(_pdu(context, USER_INFORMATION, kind=0x02))
    assert answer.presentation_contexts == (PresentationContextAC(1, ContextResult.NO_REASON),)


def test_the_transfer_syntax_of_a_refusal_means_nothing() -> None:
    """PS3.8 Table 9-18: not significant unless accepted; it may even be missing."""
    answer = _accept(
        _pdu(
            _item(0x21, b"\x01\x00\x03\x00" + TRANSFER_SYNTAX),
            _item(0x21, b"\x03\x00\x01\x00"),
            _item(0x21, b"\x05\x00\x00\x00"),
            kind=0x02,
        )
    )
    assert [context.transfer_syntax for context in answer.presentation_contexts] == ["", "", ""]


def test_the_items_of_the_other_pdu_are_skipped() -> None:
    """A proposed context in an answer is an unknown item there, and the reverse."""
    assert _accept(_pdu(CONTEXT, kind=0x02)).presentation_contexts == ()
    answered = _item(0x21, b"\x01\x00\x00\x00" + TRANSFER_SYNTAX)
    assert _request(_pdu(answered)).presentation_contexts == ()


def test_an_ae_title_is_returned_as_it_came() -> None:
    """PS3.8 9.3.3: the acceptor returns both titles, stray bytes and emptiness included."""
    request = _request(_pdu(called=b"\xc4RCHIV          ", calling=b" " * 16))
    answer = AAssociateAC(
        request.called_ae_title, request.calling_ae_title, (), request.user_information
    )
    assert encode_pdu(answer)[10:42] == b"\xc4RCHIV          " + b" " * 16


@pytest.mark.parametrize("called", [b"  ARCHIVE\0\0\0\0\0\0\0", b"ARCHIVE\0stale AE"])
def test_padding_and_reserved_bytes_are_returned_as_they_came(called: bytes) -> None:
    """PS3.8 Table 9-17, bytes 11-26, 27-42 and 43-74: identical to what the request has."""
    data = bytearray(_pdu(called=called, calling=b"MODALITY1\0\0\0\0\0\0\0"))
    data[42:74] = bytes(range(1, 33))
    answer = negotiate(_request(bytes(data)), POLICY)
    assert isinstance(answer, AAssociateAC)
    encoded = encode_pdu(answer)
    assert encoded[6:10] == b"\0\1\0\0"
    assert encoded[10:74] == data[10:74]


def test_what_is_returned_takes_its_place() -> None:
    """All of bytes 11 to 74, or nothing."""
    with pytest.raises(PacsException, match="returned_fields has 63 bytes instead of 64"):
        AAssociateAC("A", "B", (), UserInformation(0, "1.2"), returned_fields=bytes(63))


# -- where tolerance ends ------------------------------------------------------------------

# Each with the item it has to name and the byte where that begins. The first item of the
# PDU begins at byte 74 and its content at byte 78.
MALFORMED = {
    "a context ID twice": (_pdu(CONTEXT, CONTEXT), "presentation context item", 124),
    "a context without an ID": (_pdu(_item(0x20, b"\x01")), "presentation context item", 78),
    "an answer without a result": (
        _pdu(_item(0x21, b"\x01\x00"), kind=0x02),
        "presentation context item",
        78,
    ),
    "an item beyond the PDU": (
        _pdu(b"\x10\x00\x00\x05abcd"),
        "item 10H in the A-ASSOCIATE-RQ",
        74,
    ),
    "an unknown item beyond the PDU": (
        _pdu(b"\xee\x00\xff\xff"),
        "item EEH in the A-ASSOCIATE-RQ",
        74,
    ),
    "half an item header": (_pdu(b"\x10\x00\x00"), "item in the A-ASSOCIATE-RQ", 74),
    "a syntax beyond its context": (
        _pdu(_item(0x20, b"\x01\x00\x00\x00\x30\x00\x00\x02x")),
        "item 30H in the presentation context item",
        82,
    ),
    "a sub-item beyond the user information": (
        _pdu(_item(0x50, b"\x51\x00\x00\x05abcd")),
        "item 51H in the user information item",
        78,
    ),
    "a short maximum length": (_pdu(_item(0x50, _item(0x51, b"abc"))), "maximum length item", 82),
    "a short window": (
        _pdu(_item(0x50, _item(0x53, b"abc"))),
        "asynchronous operations window item",
        82,
    ),
    "a role without its UID": (
        _pdu(_item(0x50, _item(0x54, b"\x00\x05abc"))),
        "role selection item",
        82,
    ),
    "a role without its roles": (
        _pdu(_item(0x50, _item(0x54, _field(b"1.2") + b"\x01"))),
        "role selection item",
        87,
    ),
    "an extended negotiation without its UID": (
        _pdu(_item(0x50, _item(0x56, b"\x00"))),
        "SOP class extended negotiation item",
        82,
    ),
    "a related class beyond its list": (
        _pdu(_item(0x50, _item(0x57, _field(b"") + _field(b"") + _field(b"\x00\x02x")))),
        "SOP class common extended negotiation item",
        88,
    ),
    "a list beyond its item": (
        _pdu(_item(0x50, _item(0x57, _field(b"") + _field(b"") + b"\x00\x02x"))),
        "SOP class common extended negotiation item",
        88,
    ),
    "an identity without a type": (
        _pdu(_item(0x50, _item(0x58, b"\x01"))),
        "user identity item",
        82,
    ),
    "a passcode beyond its item": (
        _pdu(_item(0x50, _item(0x58, b"\x02\x00" + _field(b"") + b"\x00\x02x"))),
        "user identity item",
        86,
    ),
    "a response beyond its item": (
        _pdu(_item(0x50, _item(0x59, b"\x00\x02x")), kind=0x02),
        "user identity response item",
        82,
    ),
    "no PDV": (b"\x04\x00\x00\x00\x00\x00", "P-DATA-TF", 2),
    "half a PDV header": (b"\x04\x00\x00\x00\x00\x05\x00\x00\x00\x02\x01", "PDV item", 6),
    "a PDV without its header": (
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x01\x01\x03",
        "PDV item",
        6,
    ),
    "a PDV beyond the PDU": (
        b"\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x03",
        "PDV item",
        6,
    ),
    "a second PDV beyond the PDU": (
        b"\x04\x00\x00\x00\x00\x0c\x00\x00\x00\x02\x01\x03\x00\x00\x00\x03\x01\x03",
        "PDV item",
        12,
    ),
    "a request without its fields": (b"\x01\x00\x00\x00\x00\x02\x00\x01", "A-ASSOCIATE-RQ", 0),
    "a rejection without its reason": (b"\x03\x00\x00\x00\x00\x03abc", "A-ASSOCIATE-RJ", 2),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_cannot_be_read_is_named(case: str) -> None:
    """The error names the item and the byte it begins at, and how to answer it."""
    data, item, offset = MALFORMED[case]
    error = _refused(data)
    assert error.details == {
        "item": item,
        "offset": offset,
        "abort_reason": int(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    }
    assert error.message.startswith(f"the {item} at byte {offset} ")
