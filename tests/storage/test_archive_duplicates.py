"""What the archive does with an instance that it has, by policy and place."""

from __future__ import annotations

import pytest
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.storage import DuplicatePolicy
from tests.storage.archive_parts import (
    IGNORE,
    REJECT,
    REPLACE,
    Parts,
    content,
    failure,
    together,
    values,
)
from tests.storage.made_instances import made_instance

OTHER_PLACES = [
    {"StudyInstanceUID": "1.8", "SeriesInstanceUID": "1.8.3"},
    {"SeriesInstanceUID": "1.2.8"},
]


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_the_same_instance_again_changes_nothing(parts: Parts, policy: DuplicatePolicy) -> None:
    """A resend succeeds under every policy, is not new, and is not announced again."""
    archive = parts.with_policy(policy)
    sent = made_instance()
    first = archive.store(sent).unwrap()
    again = archive.store(sent).unwrap()
    assert (first.created, again.created) == (True, False)
    assert (again.storage_key, again.size_bytes) == (first.storage_key, first.size_bytes)
    assert len(parts.events) == 1
    assert parts.numbers() == (1, 1, 1, 1)


def test_reject_refuses_other_content(parts: Parts) -> None:
    """The first instance stays, in the objects and in the index, and the sender is told."""
    first = made_instance(InstanceNumber=1)
    other = made_instance(SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2)
    parts.archive.store(first).unwrap()
    assert failure(parts.archive.store(other)).code is ErrorCode.DUPLICATE_OBJECT
    assert content(parts.archive.open(first.sop_instance_uid).unwrap()) == content(first)
    assert values(parts.archive, "IMAGE", "InstanceNumber") == ["1"]
    assert len(parts.events) == 1


def test_ignore_keeps_the_first_and_succeeds(parts: Parts) -> None:
    """The index goes on describing what is stored, not what was dropped."""
    archive = parts.with_policy(IGNORE)
    first = made_instance(InstanceNumber=1)
    other = made_instance(
        IMPLICIT_VR_LITTLE_ENDIAN, SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2
    )
    archive.store(first).unwrap()
    assert not archive.store(other).unwrap().created
    opened = archive.open(first.sop_instance_uid).unwrap()
    assert opened.transfer_syntax_uid == first.transfer_syntax_uid
    assert content(opened) == content(first)
    assert values(archive, "IMAGE", "InstanceNumber") == ["1"]
    assert len(parts.events) == 1


def test_replace_keeps_the_last(parts: Parts) -> None:
    """Object and index describe the new instance, and it is announced like the first."""
    archive = parts.with_policy(REPLACE)
    first = made_instance(InstanceNumber=1)
    other = made_instance(
        IMPLICIT_VR_LITTLE_ENDIAN, SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2
    )
    archive.store(first).unwrap()
    assert archive.store(other).unwrap().created
    opened = archive.open(first.sop_instance_uid).unwrap()
    assert opened.transfer_syntax_uid == other.transfer_syntax_uid
    assert content(opened) == content(other)
    assert values(archive, "IMAGE", "InstanceNumber") == ["2"]
    assert parts.numbers() == (1, 1, 1, 1)
    assert len(parts.events) == 2
    assert parts.events[1].size_bytes == parts.backend.stat(parts.keys[0]).unwrap().size_bytes


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["study", "series"])
@pytest.mark.parametrize("policy", [REJECT, IGNORE])
def test_an_instance_does_not_turn_up_in_two_places(
    parts: Parts, policy: DuplicatePolicy, place: dict[str, str]
) -> None:
    """A stored UID under another study or series is refused, and nothing of it is left."""
    archive = parts.with_policy(policy)
    first = made_instance()
    archive.store(first).unwrap()
    moved = made_instance(SOPInstanceUID=first.sop_instance_uid, **place)
    assert failure(archive.store(moved)).code is ErrorCode.DUPLICATE_OBJECT
    assert parts.keys == [f"1.2/1.2.3/{first.sop_instance_uid}.dcm"]
    assert parts.numbers() == (1, 1, 1, 1)
    assert content(archive.open(first.sop_instance_uid).unwrap()) == content(first)


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["study", "series"])
def test_replace_moves_an_instance(parts: Parts, place: dict[str, str]) -> None:
    """Under REPLACE the old object goes, and with it what is empty without it."""
    archive = parts.with_policy(REPLACE)
    first = made_instance()
    archive.store(first).unwrap()
    moved = made_instance(SOPInstanceUID=first.sop_instance_uid, **place)
    stored = archive.store(moved).unwrap()
    assert parts.keys == [stored.storage_key]
    assert parts.numbers() == (1, 1, 1, 1)
    assert values(archive, "SERIES", "SeriesInstanceUID") == [place["SeriesInstanceUID"]]
    archive.store(first).unwrap()  # and back again
    assert parts.keys == [f"1.2/1.2.3/{first.sop_instance_uid}.dcm"]
    assert content(archive.open(first.sop_instance_uid).unwrap()) == content(first)


def test_moving_to_and_fro_at_once_never_loses_the_instance(parts: Parts) -> None:
    """Whoever comes last wins; there is always exactly one object, and it can be opened."""
    archive = parts.with_policy(REPLACE)
    here = made_instance()
    there = made_instance(SOPInstanceUID=here.sop_instance_uid, **OTHER_PLACES[0])
    for _ in range(10):
        together([lambda: archive.store(here), lambda: archive.store(there)] * 2)
        assert len(parts.keys) == 1
        opened = archive.open(here.sop_instance_uid).unwrap()
        assert content(opened) in (content(here), content(there))


@pytest.mark.parametrize("number", [2, 12345], ids=["as long", "longer"])
def test_what_replaced_an_object_without_its_row_is_put_right_when_it_is_sent_again(
    parts: Parts, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is there already then, and only the row tells of the one before."""
    archive = parts.with_policy(REPLACE)
    first = made_instance(InstanceNumber=1)
    other = made_instance(SOPInstanceUID=first.sop_instance_uid, InstanceNumber=number)
    archive.store(first).unwrap()
    full = Failure(PacsError(ErrorCode.INDEX_FAILED, "the disk is full"))
    with monkeypatch.context() as patched:
        patched.setattr(parts.index, "add", lambda *_, **__: full)
        assert archive.store(other) == full
    assert archive.store(other).unwrap().created
    assert values(archive, "IMAGE", "InstanceNumber") == [str(number)]
    assert list(archive.verify().unwrap()) == []
    assert len(parts.events) == 2
    assert not archive.store(other).unwrap().created
