"""What is found out while an instance arrives, and what is not taken for granted after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
)
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.storage import Archive, Query, StoredInstance, open_archive
from pacs_sdk.storage.early_look import EarlyLook, early_look_at
from pacs_sdk.storage.index.absences import _ABSENT_S
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.testing import FakeClock
from tests.storage.made_instances import made_instance

DOCUMENT = bytes(2 * HEAD_BYTES)
"""What a data set has behind its head."""


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still."""
    return FakeClock()


@pytest.fixture
def archive(tmp_path: Path, clock: FakeClock) -> Iterator[Archive]:
    """Give an archive of that clock, whose rows are written when somebody asks."""
    with open_archive(tmp_path).unwrap() as opened:
        opened._index._transactions.absences._clock = clock
        deferred = opened._index._deferred
        assert deferred is not None
        deferred._quiet_s = 3600.0
        yield opened


def begun(archive: Archive, instance: Instance) -> ReceivedObject:
    """Let an instance begin to arrive, with a little more than its head."""
    received = archive.receive(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    )
    assert received is not None
    received.write(instance.encoded.view()[: HEAD_BYTES + 2])
    return received


def look_of(received: ReceivedObject) -> EarlyLook:
    """Return the look that was taken."""
    assert isinstance(received.look, EarlyLook)
    return received.look


def ended(archive: Archive, instance: Instance, received: ReceivedObject) -> StoredInstance | None:
    """Let the rest arrive and store it; ``None`` where it is refused as a duplicate."""
    received.write(instance.encoded.view()[HEAD_BYTES + 2 :])
    arrived = Instance(
        instance.sop_class_uid,
        instance.sop_instance_uid,
        instance.transfer_syntax_uid,
        received.finish(),
    )
    stored = archive.store(arrived)
    received.discard()
    if isinstance(stored, Failure):
        assert stored.failure().code is ErrorCode.DUPLICATE_OBJECT
        return None
    return stored.unwrap()


def studies(archive: Archive) -> list[str]:
    """Return the studies that queries find."""
    matches = archive.find(Query.of("STUDY").unwrap()).unwrap()
    return [match.get("StudyInstanceUID") for match in matches]


def test_an_instance_is_described_before_its_end(archive: Archive) -> None:
    """With the header that the whole would give; it is read once."""
    instance = made_instance(EncapsulatedDocument=DOCUMENT)
    received = begun(archive, instance)
    description = look_of(received).description
    assert description is not None
    assert description.header == instance.header(archive._ingest._tags).unwrap()
    assert description.identity.sop_instance_uid == instance.sop_instance_uid
    with patch.object(Instance, "header", side_effect=AssertionError("it was read again")):
        stored = ended(archive, instance, received)
    assert stored is not None
    assert stored.storage_key == description.storage_key
    assert archive.open(instance.sop_instance_uid).unwrap().size == instance.size
    assert studies(archive) == ["1.2"]


@pytest.mark.parametrize(
    ("syntax", "elements"),
    [
        (EXPLICIT_VR_LITTLE_ENDIAN, {"EncapsulatedDocument": bytes(10)}),
        (EXPLICIT_VR_LITTLE_ENDIAN, {"LongCodeValue": "x" * 2 * HEAD_BYTES}),
        (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, {"EncapsulatedDocument": DOCUMENT}),
    ],
    ids=["short", "long-header", "deflated"],
)
def test_what_the_head_does_not_tell_is_read_at_the_end(
    archive: Archive, syntax: TransferSyntax, elements: dict[str, object]
) -> None:
    """Nothing is made of a part of the attributes."""
    instance = made_instance(syntax, **elements)
    received = begun(archive, instance)
    assert look_of(received).description is None
    assert ended(archive, instance, received) is not None
    assert studies(archive) == ["1.2"]


def test_what_is_wrong_is_said_when_it_is_stored(archive: Archive) -> None:
    """While it arrives nobody would hear it."""
    instance = made_instance(StudyInstanceUID=None, EncapsulatedDocument=DOCUMENT)
    received = begun(archive, instance)
    assert look_of(received).description is None
    received.write(instance.encoded.view()[HEAD_BYTES + 2 :])
    uid, syntax = instance.sop_instance_uid, instance.transfer_syntax_uid
    arrived = Instance(instance.sop_class_uid, uid, syntax, received.finish())
    error = archive.store(arrived).failure()
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    received.discard()


def test_a_look_at_something_else_does_not_count(archive: Archive) -> None:
    """As where a hook has stored the bytes under another transfer syntax."""
    instance = made_instance(EncapsulatedDocument=DOCUMENT)
    received = begun(archive, instance)
    arrived = Instance(
        instance.sop_class_uid, instance.sop_instance_uid, "1.2.840.10008.1.2", received.finish()
    )
    assert early_look_at(arrived) is None
    assert early_look_at(instance) is None
    received.discard()


def test_an_instance_is_looked_for_once(archive: Archive) -> None:
    """When it begins to arrive, and not again within a moment."""
    instance = made_instance(EncapsulatedDocument=DOCUMENT)
    received = begun(archive, instance)
    absences = archive._index._transactions.absences
    with patch.object(absences, "_found", side_effect=AssertionError("again")):
        assert ended(archive, instance, received) is not None


def test_one_that_came_first_from_elsewhere_is_noticed(archive: Archive) -> None:
    """Its row may be written or wait; the later one, in another study, is refused."""
    for settles in (False, True):
        late = made_instance(EncapsulatedDocument=DOCUMENT, StudyInstanceUID="1.77")
        received = begun(archive, late)
        assert look_of(received).absence is not None
        first = made_instance(SOPInstanceUID=late.sop_instance_uid)
        assert archive.store(first).unwrap().created
        if settles:
            archive._index.settle()
        assert ended(archive, late, received) is None
    assert studies(archive) == ["1.2"]


def test_after_a_moment_it_is_looked_for_again(
    archive: Archive, clock: FakeClock, tmp_path: Path
) -> None:
    """Another process may have stored it."""
    late = made_instance(EncapsulatedDocument=DOCUMENT, StudyInstanceUID="1.77")
    received = begun(archive, late)
    with open_archive(tmp_path).unwrap() as other:
        other.store(made_instance(SOPInstanceUID=late.sop_instance_uid)).unwrap()
        other._index.settle()
    clock.advance(_ABSENT_S)
    assert ended(archive, late, received) is None
    assert studies(archive) == ["1.2"]


def test_one_that_is_there_already_is_known_from_the_beginning(archive: Archive) -> None:
    """It is a success, and changes nothing."""
    instance = made_instance(EncapsulatedDocument=DOCUMENT)
    archive.store(instance).unwrap()
    archive._index.settle()
    received = begun(archive, instance)
    assert look_of(received).absence is None
    stored = ended(archive, instance, received)
    assert stored is not None
    assert not stored.created
