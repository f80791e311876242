"""The table of errors, and the value that carries one."""

from __future__ import annotations

import copy
import pickle
import traceback

import attrs
import pytest
from returns.primitives.exceptions import UnwrapFailedError

from pacs_sdk.core.errors import ErrorCategory, ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult

RANGES = {
    ErrorCategory.DICOM_FILE: range(-719, -699),
    ErrorCategory.DICOM_ELEMENT: range(-739, -719),
    ErrorCategory.ENCODING: range(-759, -739),
    ErrorCategory.NETWORK: range(-779, -759),
    ErrorCategory.STORAGE: range(-799, -779),
    ErrorCategory.STORE_SERVICE: range(-819, -799),
    ErrorCategory.FIND_SERVICE: range(-839, -819),
    ErrorCategory.RETRIEVE_SERVICE: range(-859, -839),
    ErrorCategory.VERIFICATION_SERVICE: range(-869, -859),
    ErrorCategory.MPPS_SERVICE: range(-879, -869),
    ErrorCategory.WORKLIST_SERVICE: range(-889, -879),
    ErrorCategory.GENERAL_SERVICE: range(-899, -889),
}
"""The blocks of the feature document, upwards as Python counts."""

DIMSE_STATUSES = {
    0x0106,  # Invalid Attribute Value (PS3.7 C.5.11)
    0x0110,  # Processing Failure (C.5.21)
    0x0111,  # Duplicate SOP Instance (C.5.6)
    0x0112,  # No Such SOP Instance (C.5.19)
    0x0115,  # Invalid Argument Value (C.5.10)
    0x0120,  # Missing Attribute (C.5.13)
    0x0121,  # Missing Attribute Value (C.5.14)
    0x0122,  # SOP Class Not Supported (C.5.24)
    0x0124,  # Not Authorized (C.5.20)
    0x0211,  # Unrecognized Operation (C.5.29)
    0xA700,  # Out of Resources (PS3.4 B.2.3, C.4.1.1.4)
    0xA701,  # Unable to calculate number of matches (PS3.4 C.4.2.1.5, C.4.3.1.4)
    0xA702,  # Unable to perform sub-operations (PS3.4 C.4.2.1.5)
    0xA801,  # Move Destination unknown (PS3.4 C.4.2.1.5)
    0xA900,  # Data Set does not match SOP Class; Identifier does not match (PS3.4 B.2.3, C.4.1.1.4)
    0xC000,  # Cannot understand; Unable to process (PS3.4 B.2.3, C.4.1.1.4)
    0xFE00,  # Cancel (PS3.7 C.5.4)
}


def test_blocks_are_those_of_the_feature_document() -> None:
    """The categories tile -700 to -899 without a gap or an overlap."""
    assert set(RANGES) == set(ErrorCategory)
    numbers = [number for block in RANGES.values() for number in block]
    assert sorted(numbers) == list(range(-899, -699))
    for category, block in RANGES.items():
        assert all(number in category for number in block)
        assert block[0] - 1 not in category
        assert block[-1] + 1 not in category


def test_numbers_are_unique() -> None:
    """No two codes share a number: an alias would silently be the other code."""
    numbers = [code.number for code in ErrorCode.__members__.values()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_row(code: ErrorCode) -> None:
    """Each row lies in its block, with a known DIMSE status, an HTTP error and words."""
    assert code.number in RANGES[code.category]
    assert code.dimse_status in DIMSE_STATUSES
    assert 400 <= code.http_status <= 599
    assert len(code.meaning.split()) >= 3
    assert code.meaning[0].islower()
    assert not code.meaning.endswith(".")


def test_every_category_is_named() -> None:
    """Each block of the feature document has at least one code."""
    assert {code.category for code in ErrorCode} == set(ErrorCategory)


@pytest.mark.parametrize(
    ("prefix", "category"),
    [
        ("STORE_", ErrorCategory.STORE_SERVICE),
        ("FIND_", ErrorCategory.FIND_SERVICE),
        ("RETRIEVE_", ErrorCategory.RETRIEVE_SERVICE),
        ("MPPS_", ErrorCategory.MPPS_SERVICE),
        ("WORKLIST_", ErrorCategory.WORKLIST_SERVICE),
    ],
)
def test_names_go_with_their_block(prefix: str, category: ErrorCategory) -> None:
    """A code named after a service lies in that service's block."""
    named = [code for code in ErrorCode if code.name.startswith(prefix)]
    assert named
    assert {code.category for code in named} == {category}


def test_error_is_a_frozen_value() -> None:
    """An error is equal to one of the same code, message and details, and can't be changed."""
    one = PacsError(ErrorCode.TRUNCATED, "it ends", {"offset": 7, "tag": "(0010,0010)"})
    two = PacsError(ErrorCode.TRUNCATED, "it ends", {"tag": "(0010,0010)", "offset": 7})
    assert one == two
    assert hash(one) == hash(two)
    assert one != PacsError(ErrorCode.TRUNCATED, "it ends")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.message = "x"  # type: ignore[misc]
    one.details["offset"] = 8
    assert one.details == {"offset": 7, "tag": "(0010,0010)"}


def test_error_in_words() -> None:
    """As text an error gives its sentence, its name and its number."""
    error = PacsError(ErrorCode.TRUNCATED, "the file ends too early")
    assert str(error) == "the file ends too early [TRUNCATED -707]"


def test_error_can_be_pickled() -> None:
    """An error crosses to another process."""
    error = PacsError(ErrorCode.TRUNCATED, "it ends", {"offset": 7})
    assert pickle.loads(pickle.dumps(error)) == error  # noqa: S301  # our own bytes
    named = PacsError(code=ErrorCode.TRUNCATED, message="it ends")
    assert copy.deepcopy(named) == named


def test_unwrapping_a_failure_tells_what_went_wrong() -> None:
    """The traceback of ``unwrap`` has the error's sentence, and not only that it failed."""
    failure: PacsResult[int] = Failure(PacsError(ErrorCode.FILE_NOT_FOUND, "there is no file x"))
    with pytest.raises(UnwrapFailedError) as caught:
        failure.unwrap()
    shown = "".join(traceback.format_exception(caught.value))
    assert "PacsError: there is no file x [FILE_NOT_FOUND -700]" in shown


def test_exception_carries_an_error() -> None:
    """The exception of the inside carries the value, and takes one over from another layer."""
    raised = PacsException(ErrorCode.NOT_DICOM, "not DICOM", path="x")
    assert str(raised) == "not DICOM"
    assert raised.error == PacsError(ErrorCode.NOT_DICOM, "not DICOM", {"path": "x"})
    assert PacsException.of(raised.error).error == raised.error


def test_an_exception_can_be_pickled() -> None:
    """One that is raised in a worker process arrives as what it is."""
    raised = PacsException(ErrorCode.TRUNCATED, "it ends", offset=7)
    arrived = pickle.loads(pickle.dumps(raised))  # noqa: S301  # our own bytes
    assert isinstance(arrived, PacsException)
    assert (arrived.error, str(arrived)) == (raised.error, "it ends")
