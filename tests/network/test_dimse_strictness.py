"""What the writer of command sets refuses, and what it makes fit."""

from __future__ import annotations

from typing import Any

import pytest

from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CMoveRQ,
    CStoreRQ,
    CStoreRSP,
    Message,
    NActionRQ,
    NCreateRQ,
    NEventReportRQ,
    NGetRQ,
    Status,
    UnsupportedRQ,
    UnsupportedRSP,
    decode_command,
    encode_command,
)
from tests.network.dimse_helpers import writer_refusal
from tests.network.dimse_vectors import CT_IMAGE, STUDY_ROOT_MOVE

NOTHING: Any = None
"""What a careless caller passes for a number."""


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (CEchoRQ(NOTHING), "Message ID (0000,0110)"),
        (CEchoRQ(1, ""), "Affected SOP Class UID (0000,0002)"),
        (CEchoRSP(1, NOTHING), "Status (0000,0900)"),
        (CStoreRQ(1, "", "1.2"), "Affected SOP Class UID (0000,0002)"),
        (CStoreRQ(1, CT_IMAGE, ""), "Affected SOP Instance UID (0000,1000)"),
        (CFindRQ(1, "1.2", NOTHING), "Priority (0000,0700)"),
        (CMoveRQ(1, STUDY_ROOT_MOVE, ""), "Move Destination (0000,0600)"),
        (NGetRQ(1, "", "1.2"), "Requested SOP Class UID (0000,0003)"),
        (NGetRQ(1, "1.2", ""), "Requested SOP Instance UID (0000,1001)"),
        (NEventReportRQ(1, "1.2", "1.3", NOTHING), "Event Type ID (0000,1002)"),
        (NActionRQ(1, "1.2", "1.3", NOTHING), "Action Type ID (0000,1008)"),
        (NCreateRQ(1, ""), "Affected SOP Class UID (0000,0002)"),
    ],
)
def test_a_message_without_what_it_needs_is_not_written(message: Message, missing: str) -> None:
    """What the tables of PS3.7 9.3 and 10.3 make mandatory is named when it is missing."""
    assert writer_refusal(message).startswith(f"{missing} is missing")


@pytest.mark.parametrize(
    ("message", "element"),
    [
        (CEchoRQ(0x10000), "Message ID (0000,0110)"),
        (CEchoRQ(-1), "Message ID (0000,0110)"),
        (CEchoRSP(1, 0x10000), "Status (0000,0900)"),
        (CStoreRQ(1, "1." * 32 + "1", "1.2"), "Affected SOP Class UID (0000,0002)"),
        (CStoreRQ(1, CT_IMAGE, "1.2.é"), "Affected SOP Instance UID (0000,1000)"),
        (CStoreRQ(1, CT_IMAGE, "1.2\n"), "Affected SOP Instance UID (0000,1000)"),
        (CStoreRQ(1, CT_IMAGE, "1..2"), "Affected SOP Instance UID (0000,1000)"),
        (CStoreRSP(1, 0, "CT"), "Affected SOP Class UID (0000,0002)"),
        (CFindRQ(1, "1.2", 3), "Priority (0000,0700)"),
        (CEchoRSP(1, 0, error_id=0x10000), "Error ID (0000,0903)"),
        (CEchoRSP(1, 0, offending_element=(-1,)), "Offending Element (0000,0901)"),
        (NGetRQ(1, "1.2", "1.3", (1 << 32,)), "Attribute Identifier List (0000,1005)"),
    ],
)
def test_a_value_that_does_not_fit_its_element_is_not_written(
    message: Message, element: str
) -> None:
    """A number beyond its bits, a UID that is none, a priority without a name."""
    assert writer_refusal(message).startswith(f"{element} cannot be ")


@pytest.mark.parametrize(
    "title", ["SEVENTEEN_LETTERS", "A\\B", "TAB\t", "LINE\n", "\x7f", "MÜNCHEN", "  ", " " * 17]
)
def test_an_ae_title_that_is_none_is_not_written(title: str) -> None:
    """At most 16 ASCII characters, no backslash or control character, not blank (PS3.5 6.2)."""
    assert "Move Destination (0000,0600) cannot be" in writer_refusal(CMoveRQ(1, "1.2", title))
    originator = CStoreRQ(1, CT_IMAGE, "1.2", 0, title, 1)
    assert "Move Originator" in writer_refusal(originator)


@pytest.mark.parametrize("title", ["A", "SIXTEEN_LETTERS_", "WEST WING", "a-z.[0]~!"])
def test_an_ae_title_may_have_any_other_character(title: str) -> None:
    """Small letters, spaces inside and punctuation are legal."""
    message = CMoveRQ(1, STUDY_ROOT_MOVE, title)
    assert decode_command(encode_command(message, has_dataset=True)).message == message


@pytest.mark.parametrize(
    "message",
    [
        UnsupportedRQ(0x0021, 1),
        UnsupportedRQ(0x0FFF, 1),
        UnsupportedRQ(0x8160, 1),
        UnsupportedRQ(0x10160, 1),
        UnsupportedRSP(0x8110, 1),
        UnsupportedRSP(0x0160, 1),
    ],
)
def test_an_unsupported_message_cannot_pass_for_another(message: Message) -> None:
    """Its Command Field is one that no class has, with the response bit it should have."""
    assert writer_refusal(message).startswith("Command Field (0000,0100) cannot be ")


def test_a_long_value_is_shortened_in_the_reason() -> None:
    """A reason can be logged, whatever was passed."""
    assert len(writer_refusal(CStoreRQ(1, CT_IMAGE, "1" * 100_000))) < 250


def test_an_error_comment_is_made_to_fit() -> None:
    """A comment may hold anything an exception said: it is cut and cleaned, never a failure."""
    comment = 'no space on "C:\\spool"\nfür ' + 100 * "x"
    response = CStoreRSP(1, Status.OUT_OF_RESOURCES, error_comment=comment)
    decoded = decode_command(encode_command(response, has_dataset=False)).message
    assert isinstance(decoded, CStoreRSP)
    assert decoded.error_comment.startswith('no space on "C:/spool" f?r xxx')
    assert len(decoded.error_comment) == 64


@pytest.mark.parametrize(
    ("comment", "sent"),
    [
        ("line 7\n", "line 7"),
        ("\tno\tspace\x04", "no space"),
        (63 * "x" + " the rest", 63 * "x"),
        ("\r\n", ""),
    ],
)
def test_a_comment_has_no_outer_spaces(comment: str, sent: str) -> None:
    """They are padding to whoever reads it (PS3.5 6.2); of a line's end, nothing is sent."""
    encoded = encode_command(CEchoRSP(1, 0x0110, error_comment=comment), has_dataset=False)
    decoded = decode_command(encoded).message
    assert decoded == CEchoRSP(1, 0x0110, error_comment=sent)
    assert encoded == encode_command(decoded, has_dataset=False)
