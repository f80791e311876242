"""PDU values: what construction refuses, and what a refusal or an abort says in words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AbortSource,
    AcseRejectReason,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
    PresentationRejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserIdentityType,
    UserInformation,
)

INFORMATION = UserInformation(16384, "1.2.3")
PROPOSED = PresentationContextRQ(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
ANSWERED = PresentationContextAC(1, ContextResult.ACCEPTANCE, "1.2.840.10008.1.2")
LONG = "x" * 0x10000

UNFIT: dict[str, Callable[[], object]] = {
    "AAssociateRQ.called_ae_title": lambda: AAssociateRQ("A" * 17, "B", (PROPOSED,), INFORMATION),
    "AAssociateRQ.calling_ae_title": lambda: AAssociateRQ("A", "Ω", (PROPOSED,), INFORMATION),
    "AAssociateRQ.presentation_contexts": lambda: AAssociateRQ(
        "A", "B", (PROPOSED, PROPOSED), INFORMATION
    ),
    "AAssociateRQ.application_context_name": lambda: AAssociateRQ(
        "A", "B", (PROPOSED,), INFORMATION, LONG
    ),
    "AAssociateRQ.protocol_version": lambda: AAssociateRQ(
        "A", "B", (PROPOSED,), INFORMATION, protocol_version=0x10000
    ),
    "AAssociateAC.called_ae_title": lambda: AAssociateAC("A" * 17, "B", (), INFORMATION),
    "AAssociateAC.calling_ae_title": lambda: AAssociateAC("A", "B" * 17, (), INFORMATION),
    "AAssociateAC.presentation_contexts": lambda: AAssociateAC(
        "A", "B", (ANSWERED, ANSWERED), INFORMATION
    ),
    "PresentationContextRQ.context_id": lambda: PresentationContextRQ(256, "1.2", ("1.2",)),
    "PresentationContextRQ.abstract_syntax": lambda: PresentationContextRQ(1, LONG, ("1.2",)),
    "PresentationContextRQ.transfer_syntaxes": lambda: PresentationContextRQ(
        1, "1.2", ("1.2", LONG)
    ),
    "PresentationContextAC.context_id": lambda: PresentationContextAC(-1, ContextResult.ACCEPTANCE),
    "PresentationContextAC.transfer_syntax": lambda: PresentationContextAC(
        1, ContextResult.ACCEPTANCE, LONG
    ),
    "UserInformation.maximum_length": lambda: UserInformation(1 << 32, "1.2"),
    "UserInformation.implementation_class_uid": lambda: UserInformation(0, LONG),
    "UserInformation.implementation_version_name": lambda: UserInformation(0, "1.2", LONG),
    "AsynchronousOperationsWindow.maximum_invoked": lambda: AsynchronousOperationsWindow(65536, 1),
    "AsynchronousOperationsWindow.maximum_performed": lambda: AsynchronousOperationsWindow(1, -1),
    "RoleSelection.sop_class_uid": lambda: RoleSelection(LONG, True, True),
    "SopClassExtendedNegotiation.application_information": lambda: SopClassExtendedNegotiation(
        "1.2", bytes(0x10000)
    ),
    "SopClassCommonExtendedNegotiation.related_general_sop_class_uids": lambda: (
        SopClassCommonExtendedNegotiation("1.2", "1.2", ("1.2", LONG))
    ),
    "UserIdentityRQ.identity_type": lambda: UserIdentityRQ(256, b""),
    "UserIdentityRQ.primary_field": lambda: UserIdentityRQ(1, bytes(0x10000)),
    "UserIdentityRQ.secondary_field": lambda: UserIdentityRQ(2, b"", bytes(0x10000)),
    "UserIdentityAC.server_response": lambda: UserIdentityAC(bytes(0x10000)),
    "AAssociateRJ.result": lambda: AAssociateRJ(256, 1, 1),
    "AAssociateRJ.source": lambda: AAssociateRJ(1, -1, 1),
    "AAssociateRJ.reason": lambda: AAssociateRJ(1, 1, 256),
    "AAbort.source": lambda: AAbort(256),
    "AAbort.reason": lambda: AAbort(2, 256),
    "PresentationDataValue.context_id": lambda: PresentationDataValue(256, True, True, b""),
}


@pytest.mark.parametrize("field", UNFIT)
def test_a_value_that_does_not_fit_its_field(field: str) -> None:
    """A value that no field on the wire can hold cannot be made; the field is named."""
    with pytest.raises(PacsException) as raised:
        UNFIT[field]()
    assert raised.value.error.code is ErrorCode.INVALID_PDU
    assert raised.value.error.details == {"field": field}
    assert field in raised.value.error.message


def test_one_byte_a_character_is_enough() -> None:
    """A peer's AE title with a stray byte is kept, so that it can be returned as it came."""
    assert AAssociateAC("ÄRCHIV", "B", (ANSWERED,), INFORMATION).called_ae_title == "ÄRCHIV"


def test_credentials_do_not_show() -> None:
    """Neither a secret nor a user name reaches a log through a representation."""
    identity = UserIdentityRQ(2, b"alice", b"secret", True)
    shown = repr(UserInformation(0, "1.2", user_identity=identity)) + repr(UserIdentityAC(b"tick"))
    assert "alice" not in shown
    assert "secret" not in shown
    assert "tick" not in shown
    assert "<6 bytes>" in shown


def test_codes_are_named_where_the_standard_names_them() -> None:
    """Known codes become members, reserved ones stay the numbers they are."""
    assert UserIdentityRQ(3, b"").identity_type is UserIdentityType.KERBEROS_SERVICE_TICKET
    assert UserIdentityRQ(9, b"").identity_type == 9
    assert AAssociateRJ(1, 2, 2).source is RejectSource.SERVICE_PROVIDER_ACSE
    assert AAssociateRJ(1, 9, 2).source == 9
    assert AAbort(2, 6).reason is AbortReason.INVALID_PDU_PARAMETER_VALUE
    assert AAbort(2, 3).reason == 3


# PS3.8 Table 9-21: what must be in the words, by source and reason.
REJECT_WORDS: dict[tuple[int, int], str] = {
    (1, UserRejectReason.NO_REASON_GIVEN): "application: it gave no reason",
    (1, UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED): "the application context name",
    (1, UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED): "the calling AE title",
    (1, UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED): "the called AE title",
    (2, AcseRejectReason.NO_REASON_GIVEN): "association control: it gave no reason",
    (2, AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED): "the protocol version",
    (3, PresentationRejectReason.TEMPORARY_CONGESTION): "it is congested at the moment",
    (3, PresentationRejectReason.LOCAL_LIMIT_EXCEEDED): "a limit of its own is exceeded",
}


def test_every_rejection_is_explained() -> None:
    """Each combination of PS3.8 Table 9-21 has words of its own."""
    assert {reason for source, reason in REJECT_WORDS if source == 1} == {1, 2, 3, 7}
    seen = set()
    for result, ((source, reason), words) in product(RejectResult, REJECT_WORDS.items()):
        explained = AAssociateRJ(result, source, reason).explain()
        assert words in explained
        transient = "trying again later" in explained
        assert transient == (result is RejectResult.REJECTED_TRANSIENT)
        seen.add(explained)
    assert len(seen) == len(RejectResult) * len(REJECT_WORDS)


@pytest.mark.parametrize("reserved", [(1, 1, 4), (1, 1, 10), (1, 2, 3), (1, 3, 0), (1, 3, 7)])
def test_a_reserved_rejection_is_explained_as_one(reserved: tuple[int, int, int]) -> None:
    """A code that the standard reserves is given as a number."""
    explained = AAssociateRJ(*reserved).explain()
    assert f"{reserved[2]}, which the standard reserves" in explained


def test_an_unknown_rejection_is_explained_as_one() -> None:
    """Result and source may be unknown too."""
    explained = AAssociateRJ(0, 9, 1).explain()
    assert "result 0, which the standard reserves" in explained
    assert "unknown source (9)" in explained


# PS3.8 Table 9-26: what must be in the words, by reason.
ABORT_WORDS: dict[AbortReason, str] = {
    AbortReason.NOT_SPECIFIED: "it gave no reason",
    AbortReason.UNRECOGNIZED_PDU: "did not recognize a PDU",
    AbortReason.UNEXPECTED_PDU: "did not expect a PDU",
    AbortReason.UNRECOGNIZED_PDU_PARAMETER: "did not recognize a parameter",
    AbortReason.UNEXPECTED_PDU_PARAMETER: "did not expect a parameter",
    AbortReason.INVALID_PDU_PARAMETER_VALUE: "had an invalid value",
}


@pytest.mark.parametrize(("reason", "words"), ABORT_WORDS.items())
def test_every_abort_is_explained(reason: AbortReason, words: str) -> None:
    """Each reason of PS3.8 Table 9-26 has words of its own."""
    assert words in AAbort(AbortSource.SERVICE_PROVIDER, reason).explain()
    assert "network layer" in AAbort(AbortSource.SERVICE_PROVIDER, reason).explain()


def test_the_reason_of_a_user_s_abort_means_nothing() -> None:
    """PS3.8 Table 9-26: the reason is not significant when the service user aborts."""
    assert AAbort(0, 6).explain() == AAbort(AbortSource.SERVICE_USER).explain()
    assert "application" in AAbort().explain()


def test_a_reserved_abort_is_explained_as_one() -> None:
    """Codes that the standard reserves are given as numbers."""
    assert "3, which the standard reserves" in AAbort(2, 3).explain()
    assert "unknown source (1)" in AAbort(1).explain()


def test_reason_codes_are_the_standard_s() -> None:
    """The numbers of PS3.8 Tables 9-18, 9-21 and 9-26 and PS3.7 Table D.3-14."""
    assert {member.name: int(member) for member in AbortReason} == {
        "NOT_SPECIFIED": 0,
        "UNRECOGNIZED_PDU": 1,
        "UNEXPECTED_PDU": 2,
        "UNRECOGNIZED_PDU_PARAMETER": 4,
        "UNEXPECTED_PDU_PARAMETER": 5,
        "INVALID_PDU_PARAMETER_VALUE": 6,
    }
    assert [int(member) for member in RejectResult] == [1, 2]
    assert [int(member) for member in RejectSource] == [1, 2, 3]
    assert [int(member) for member in AbortSource] == [0, 2]
    assert [int(member) for member in ContextResult] == [0, 1, 2, 3, 4]
    assert [int(member) for member in UserIdentityType] == [1, 2, 3, 4, 5]
