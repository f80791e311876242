"""Status codes: their kinds, their words, and what another implementation makes of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.network.dimse import (
    STATUS_MEANINGS,
    CommandField,
    Status,
    StatusCategory,
    StatusMeaning,
    explain_status,
    status_category,
)


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
        (0x1B000, StatusCategory.FAILURE),
        (-1, StatusCategory.FAILURE),
    ],
)
def test_statuses_fall_into_five_kinds(status: int, category: StatusCategory) -> None:
    """PS3.7 Annex C; a status nobody defined is a failure, never a success."""
    assert status_category(status) is category


@pytest.mark.parametrize("row", STATUS_MEANINGS, ids=lambda row: f"{row.first:04X} {row.service}")
def test_every_row_of_the_table_has_its_kind(row: StatusMeaning) -> None:
    """A code is of one kind in all service classes, or a response alone would not tell."""
    assert row.first <= row.last <= 0xFFFF
    assert {status_category(code) for code in range(row.first, row.last + 1)} == {row.category}
    assert row.words


def test_rows_of_one_service_name_a_code_once() -> None:
    """Two meanings of one code in one service class would be a slip."""
    for one, other in itertools.combinations(STATUS_MEANINGS, 2):
        if one.service == other.service:
            assert one.last < other.first or other.last < one.first


@pytest.mark.parametrize("status", Status)
def test_every_named_status_is_in_the_table(status: Status) -> None:
    """What has a name has a meaning."""
    assert any(row.first <= status <= row.last for row in STATUS_MEANINGS)


def test_every_general_status_has_a_name() -> None:
    """PS3.7 Annex C is there in full."""
    assert {row.first for row in STATUS_MEANINGS if not row.service} <= set(Status)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_every_error_answers_with_a_status_that_is_defined(code: ErrorCode) -> None:
    """An error becomes a status with a meaning; none but CANCEL is anything but a failure."""
    assert "does not define" not in explain_status(code.dimse_status)
    expected = StatusCategory.CANCEL if code is ErrorCode.CANCELLED else StatusCategory.FAILURE
    assert status_category(code.dimse_status) is expected


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x0000, "0000H, success: the operation was carried out"),
        (0xFE00, "FE00H, cancel: the operation was cancelled"),
        (0x0122, "0122H, failure: refused: SOP class not supported"),
        (0x0001, "0001H, warning: requested optional attributes are not supported"),
        (0xA7C0, "A7C0H, failure: refused: out of resources"),
        (0x1234, "1234H, failure: a code that the standard does not define"),
        (0xB123, "B123H, warning: a code that the standard does not define"),
        (0x10000, "10000H, failure: no status, which has 16 bits"),
        (
            0xB000,
            (
                "B000H, warning: data elements were coerced (C-STORE); sub-operations complete, "
                "with failures or warnings (C-GET and C-MOVE)"
            ),
        ),
    ],
)
def test_a_status_is_put_into_words(status: int, words: str) -> None:
    """The code, its kind, and each meaning with the service that gives it."""
    assert explain_status(status) == words


@pytest.mark.parametrize(
    ("status", "command_field", "words"),
    [
        (0xB000, CommandField.C_STORE_RSP, "data elements were coerced"),
        (
            0xB000,
            CommandField.C_MOVE_RSP,
            "sub-operations complete, with failures or warnings",
        ),
        (0xA702, CommandField.C_GET_RSP, "out of resources, sub-operations not possible"),
        (0xA702, CommandField.C_STORE_RSP, "refused: out of resources"),
        (0xA900, CommandField.C_STORE_RSP, "the data set does not match the SOP class"),
        (0xA900, CommandField.C_FIND_RQ, "the identifier does not match the SOP class"),
        (0xC301, CommandField.N_ACTION_RSP, "the correct Transaction UID was not given"),
        (0xC301, CommandField.C_STORE_RSP, "cannot understand"),
        (0xC301, CommandField.C_FIND_RSP, "unable to process"),
        (0x0110, CommandField.N_SET_RSP, "processing failure"),
        (0xFF00, CommandField.C_GET_RSP, "sub-operations are continuing"),
        (0xA801, CommandField.C_STORE_RSP, "refused: move destination unknown"),
    ],
)
def test_the_operation_picks_the_meaning(status: int, command_field: int, words: str) -> None:
    """Of several meanings the one of the operation; what it doesn't know is told all the same."""
    kind = status_category(status).value
    assert explain_status(status, command_field) == f"{status:04X}H, {kind}: {words}"


@given(st.integers(-(2**40), 2**40), st.none() | st.sampled_from(CommandField))
def test_any_number_has_words(status: int, command_field: int | None) -> None:
    """What a peer sent can always be told to someone."""
    assert status_category(status).value in explain_status(status, command_field)


# -- another implementation --------------------------------------------------------------------


def test_pynetdicom_sees_the_same_kinds() -> None:
    """Every 16-bit code is of the kind that pynetdicom gives it.

    Its fourth word, "Unknown", is for codes that the standard does not define: those must
    be failures here, and without a meaning. The one exception is 0131H, which PS3.3
    C.14.1.1 defines as a Failure Reason and not as a status.
    """
    other = pytest.importorskip("pynetdicom.status")
    unknown = []
    for code in range(0x10000):
        theirs = other.code_to_category(code)
        if theirs == other.STATUS_UNKNOWN:
            unknown.append(code)
            assert status_category(code) is StatusCategory.FAILURE
        else:
            assert status_category(code).value == theirs.lower(), f"{code:04X}H"
    assert [code for code in unknown if "not define" not in explain_status(code)] == [0x0131]


def test_no_status_of_pynetdicom_is_missing() -> None:
    """Each code of its service classes has a meaning here, of the same kind."""
    other = pytest.importorskip("pynetdicom.status")
    tables = [table for name, table in vars(other).items() if name.endswith("_STATUS")]
    assert len(tables) > 15
    for table in tables:
        for code, (category, _) in table.items():
            assert status_category(code).value == category.lower(), f"{code:04X}H"
            assert "not define" not in explain_status(code), f"{code:04X}H"
