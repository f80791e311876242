"""What the archive refuses to store: nothing is left of it, and the sender is told why."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import Instance
from tests.storage.archive_parts import Parts, failure
from tests.storage.made_instances import CT, made_instance


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(
    ("uid", "code"),
    [
        (None, ErrorCode.MISSING_REQUIRED_VALUE),
        ("", ErrorCode.MISSING_REQUIRED_VALUE),
        ("../../etc", ErrorCode.INVALID_UID),
        ("1.2\\1.3", ErrorCode.INVALID_UID),
        ("1." * 150 + "1", ErrorCode.INVALID_UID),
        ("1.2.é", ErrorCode.INVALID_UID),
    ],
)
def test_an_instance_without_its_place_is_refused(
    parts: Parts, keyword: str, uid: str | None, code: ErrorCode
) -> None:
    """A UID that is missing or none is named in words, and nothing is stored."""
    error = failure(parts.archive.store(made_instance(**{keyword: uid})))
    assert error.code is code
    assert {"StudyInstanceUID": "Study", "SeriesInstanceUID": "Series"}[keyword] in error.message
    assert parts.keys == []


def test_an_instance_that_is_another_than_announced_is_refused(parts: Parts) -> None:
    """SOP Class and SOP Instance UID of the data set have to be the announced ones."""
    one = made_instance()
    for liar in (
        Instance(CT, "9.9.9", one.transfer_syntax_uid, one.encoded),
        Instance("9.9", one.sop_instance_uid, one.transfer_syntax_uid, one.encoded),
    ):
        error = failure(parts.archive.store(liar))
        assert error.code is ErrorCode.STORE_DATASET_MISMATCH
        assert error.code.dimse_status == 0xA900
    assert parts.keys == []
    assert parts.numbers() == (0, 0, 0, 0)


def test_a_full_disk_is_told_and_nothing_is_indexed(parts: Parts) -> None:
    """A put that fails is the store's failure; the archive doesn't know the instance."""
    parts.backend.fail_with(ErrorCode.STORAGE_WRITE_FAILED, "the disk is full")
    sent = made_instance()
    error = failure(parts.archive.store(sent))
    assert (error.code, error.message) == (ErrorCode.STORAGE_WRITE_FAILED, "the disk is full")
    parts.backend.fail_with(None)
    assert parts.numbers() == (0, 0, 0, 0)
    assert failure(parts.archive.open(sent.sop_instance_uid)).code is ErrorCode.OBJECT_NOT_FOUND
    assert parts.archive.store(sent).unwrap().created
    assert len(parts.events) == 1
