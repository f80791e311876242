"""What the writer refuses to send although a value can hold it."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    ContextResult,
    PDataTF,
    Pdu,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.user_information import (
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserInformation,
)
from tests.network.pdu_vectors import CT_IMAGE, EXPLICIT_LE, IMPLICIT_LE, VERIFICATION

PLAIN = AAssociateRQ(
    "ARCHIVE",
    "MODALITY1",
    (PresentationContextRQ(1, VERIFICATION, (IMPLICIT_LE,)),),
    UserInformation(16384, "1.2.3"),
)


def _with(**changes: object) -> AAssociateRQ:
    return attrs.evolve(PLAIN, **changes)  # type: ignore[arg-type]


def _with_context(**changes: object) -> AAssociateRQ:
    (context,) = PLAIN.presentation_contexts
    return _with(presentation_contexts=(attrs.evolve(context, **changes),))  # type: ignore[arg-type]


def _telling(**changes: object) -> AAssociateRQ:
    return _with(user_information=attrs.evolve(PLAIN.user_information, **changes))  # type: ignore[arg-type]


def _answering(*contexts: PresentationContextAC, **changes: object) -> AAssociateAC:
    information = attrs.evolve(PLAIN.user_information, **changes)  # type: ignore[arg-type]
    return AAssociateAC("ARCHIVE", "MODALITY1", contexts, information)


FORBIDDEN: dict[str, Callable[[], Pdu]] = {
    "an empty called AE title": lambda: _with(called_ae_title=""),
    "an AE title of spaces": lambda: _with(calling_ae_title=" " * 16),
    "an AE title with a backslash": lambda: _with(calling_ae_title="A\\B"),
    "an AE title with a control character": lambda: _with(calling_ae_title="A\nB"),
    "an AE title beyond ASCII": lambda: _with(called_ae_title="ÄRCHIV"),
    "no context": lambda: _with(presentation_contexts=()),
    "no application context": lambda: _with(application_context_name=""),
    "a version without bit 0": lambda: _with(protocol_version=2),
    "an even context ID": lambda: _with_context(context_id=2),
    "no transfer syntax": lambda: _with_context(transfer_syntaxes=()),
    "a transfer syntax that is no UID": lambda: _with_context(transfer_syntaxes=("1.2", "1..2")),
    "an abstract syntax that is no UID": lambda: _with_context(abstract_syntax="CT Image Storage"),
    "an abstract syntax that is too long": lambda: _with_context(abstract_syntax="1." * 32 + "1"),
    "a context longer than an item": lambda: _with_context(
        transfer_syntaxes=(CT_IMAGE,) * (0x10000 // len(CT_IMAGE))
    ),
    "no implementation class UID": lambda: _telling(implementation_class_uid=""),
    "a long version name": lambda: _telling(implementation_version_name="A" * 17),
    "a version name beyond ASCII": lambda: _telling(implementation_version_name="Ä"),
    "a role for no UID": lambda: _telling(role_selections=(RoleSelection("", True, True),)),
    "an extended negotiation longer than an item": lambda: _telling(
        extended_negotiations=(SopClassExtendedNegotiation("1.2", bytes(0xFFFF)),)
    ),
    "related classes longer than an item": lambda: _telling(
        common_extended_negotiations=(
            SopClassCommonExtendedNegotiation("1.2", "1.2", ("1.2",) * 0x4000),
        )
    ),
    "user information longer than an item": lambda: _telling(
        extended_negotiations=(SopClassExtendedNegotiation("1.2", bytes(0x8000)),) * 2
    ),
    "an unknown identity": lambda: _telling(user_identity=UserIdentityRQ(9, b"alice")),
    "a ticket with a passcode": lambda: _telling(user_identity=UserIdentityRQ(3, b"t", b"secret")),
    "a response in a request": lambda: _telling(user_identity_response=UserIdentityAC()),
    "an identity in an answer": lambda: _answering(user_identity=UserIdentityRQ(1, b"alice")),
    "a common extended negotiation in an answer": lambda: _answering(
        common_extended_negotiations=(SopClassCommonExtendedNegotiation("1.2", "1.2"),)
    ),
    "acceptance without a transfer syntax": lambda: _answering(
        PresentationContextAC(1, ContextResult.ACCEPTANCE)
    ),
    "more than is read": lambda: _with(
        presentation_contexts=tuple(
            PresentationContextRQ(number, CT_IMAGE, (CT_IMAGE,) * 300)
            for number in range(1, 256, 2)
        )
    ),
    "a reserved rejection": lambda: AAssociateRJ(1, 1, 4),
    "a rejection of no result": lambda: AAssociateRJ(0, 1, 1),
    "an abort by no one": lambda: AAbort(1),
    "a reserved abort reason": lambda: AAbort(2, 3),
    "a user's abort with a reason": lambda: AAbort(0, 1),
    "no data": lambda: PDataTF(()),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_the_standard_forbids_is_not_sent(case: str) -> None:
    """Such a value can exist, because a peer may send it, but we do not write it."""
    pdu = FORBIDDEN[case]()
    with pytest.raises(PacsException) as raised:
        encode_pdu(pdu)
    assert raised.value.error.code is ErrorCode.INVALID_PDU


def test_a_refused_context_is_given_a_transfer_syntax() -> None:
    """The sub-item has to be there (PS3.8 Table 9-18); one that is given is kept."""
    refusal = ContextResult.USER_REJECTION
    written = encode_pdu(
        _answering(
            PresentationContextAC(1, refusal), PresentationContextAC(3, refusal, EXPLICIT_LE)
        )
    )
    first = (
        b"\x21\x00\x00\x19\x01\x00\x01\x00"  # item, 25 bytes, ID 1, user-rejection
        b"\x40\x00\x00\x11" + IMPLICIT_LE.encode()  # transfer syntax sub-item, 17 bytes
    )
    second = (
        b"\x21\x00\x00\x1b\x03\x00\x01\x00"  # item, 27 bytes, ID 3, user-rejection
        b"\x40\x00\x00\x13" + EXPLICIT_LE.encode()  # transfer syntax sub-item, 19 bytes
    )
    assert first + second in written


def test_data_longer_than_its_length_can_say() -> None:
    """Fragments of 4 GiB together are refused before they are joined."""
    never_touched = mmap.mmap(-1, 1 << 31)
    pdv = PresentationDataValue(1, is_command=False, is_last=False, data=never_touched)
    with pytest.raises(PacsException, match="split it") as raised:
        encode_pdu(PDataTF((pdv, pdv)))
    assert raised.value.error.code is ErrorCode.INVALID_PDU
