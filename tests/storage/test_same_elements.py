"""The same elements, written otherwise, are the same content; whatever else differs is not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import attrs
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    instance_from_dataset,
    write_file,
)
from pacs_sdk.storage import Archive, DuplicatePolicy, import_folder, open_archive
from pacs_sdk.storage.same_elements import have_same_elements
from pacs_sdk.testing import MemoryStorage
from tests.storage.databases import Database
from tests.storage.made_instances import CT


def written(
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    change: Callable[[pydicom.Dataset], None] = lambda _: None,
    *,
    undefined: bool = False,
) -> Instance:
    """Write a data set with a sequence in a sequence, and pixels."""
    inner = pydicom.Dataset()
    inner.CodeValue = "T-D1100"
    item = pydicom.Dataset()
    item.ScheduledProcedureStepID = "S1"
    item.ScheduledProtocolCodeSequence = [inner, pydicom.Dataset()]
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = "1.2.3.0"
    dataset.StudyInstanceUID = "1.2"
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.PatientName = "Doe^John"
    dataset.Rows = 2
    dataset.RequestAttributesSequence = [item]
    dataset.add_new(0x00191001, "LO", "private")
    dataset.add_new(0x00191002, "SQ", [nested_privately()])
    dataset.add_new(0x7FE00010, "OW", bytes(8))
    for sequence in (
        dataset["RequestAttributesSequence"],
        item["ScheduledProtocolCodeSequence"],
        dataset[0x00191002],
    ):
        sequence.is_undefined_length = undefined
        for one in sequence.value:
            one.is_undefined_length_sequence_item = undefined
    change(dataset)
    return instance_from_dataset(dataset, syntax).unwrap()


def nested_privately() -> pydicom.Dataset:
    """Make the item of a private sequence, whose VR is not written in Implicit VR."""
    item = pydicom.Dataset()
    item.add_new(0x00191003, "LO", "in a private sequence")
    return item


def with_bytes(instance: Instance, change: Callable[[bytes], bytes]) -> Instance:
    """Change the encoded data set."""
    return attrs.evolve(instance, encoded=MemoryBytes(change(bytes(instance.encoded.view()))))


def with_group_length(encoded: bytes) -> bytes:
    """Put a group length before group 0008."""
    return struct.pack("<HH2sHI", 8, 0, b"UL", 4, 999) + encoded


def with_padding(encoded: bytes) -> bytes:
    """Put Data Set Trailing Padding after everything."""
    return encoded + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 6) + bytes(6)


SAME = {
    "the same bytes": written(),
    "group lengths": with_bytes(written(), with_group_length),
    "trailing padding": with_bytes(written(), with_padding),
    "sequences with delimiters": written(undefined=True),
    "implicit VRs": written(IMPLICIT_VR_LITTLE_ENDIAN),
    "implicit VRs and delimiters": written(IMPLICIT_VR_LITTLE_ENDIAN, undefined=True),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME.keys())
def test_how_elements_are_written_does_not_count(other: Instance) -> None:
    """In either direction."""
    assert have_same_elements(written(), other)
    assert have_same_elements(other, written())


def rename(dataset: pydicom.Dataset) -> None:
    """Change a value."""
    dataset.PatientName = "Doe^Jane"


def leave_out(dataset: pydicom.Dataset) -> None:
    """Leave an element out."""
    del dataset.Rows


def empty_item(dataset: pydicom.Dataset) -> None:
    """Leave an item out that has nothing in it."""
    del dataset.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[1]


def code(dataset: pydicom.Dataset) -> None:
    """Change a value in an item of an item."""
    dataset.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeValue = "T-D1200"


def pixel(dataset: pydicom.Dataset) -> None:
    """Change a pixel."""
    dataset.PixelData = bytes(7) + b"\1"


def privately(dataset: pydicom.Dataset) -> None:
    """Change a private element."""
    dataset[0x00191001].value = "privacy"


@pytest.mark.parametrize("change", [rename, leave_out, empty_item, code, pixel, privately])
@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_whatever_is_said_counts(
    change: Callable[[pydicom.Dataset], None], syntax: TransferSyntax
) -> None:
    """A value, an element, an item, a pixel; in the same syntax and in the other."""
    assert not have_same_elements(written(), written(syntax, change))
    assert not have_same_elements(written(syntax, change), written())


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_other_orders_of_bytes_and_compressed_data_sets_count_as_different(
    syntax: TransferSyntax,
) -> None:
    """They are not decoded to be compared."""
    assert not have_same_elements(written(), written(syntax))


@given(st.integers(0, 500), st.binary(min_size=1, max_size=3))
def test_no_bytes_are_too_much(place: int, rubbish: bytes) -> None:
    """What cannot be read is different; nothing is raised."""
    encoded = bytes(written().encoded.view())
    place %= len(encoded)
    changed = encoded[:place] + rubbish + encoded[place + len(rubbish) :]
    broken = with_bytes(written(), lambda _: changed)
    assert have_same_elements(written(), broken) is have_same_elements(broken, written())


def test_what_is_cut_short_is_different() -> None:
    """Wherever it is cut."""
    encoded = bytes(written().encoded.view())
    for size in range(len(encoded)):
        cut = with_bytes(written(), lambda _, size=size: encoded[:size])  # type: ignore[misc]
        assert not have_same_elements(written(), cut)
        assert not have_same_elements(cut, written())


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_an_archive_takes_it_for_the_same(policy: DuplicatePolicy, database: Database) -> None:
    """A success under every policy; one object stays."""
    archive = Archive(MemoryStorage(), database.open(), duplicates=policy)
    archive.store(written()).unwrap()
    again = archive.store(written(IMPLICIT_VR_LITTLE_ENDIAN, undefined=True)).unwrap()
    assert again.created is (policy is DuplicatePolicy.REPLACE)
    assert not again.kept_beside
    assert archive.statistics().unwrap().instances == 1
    archive.close()


@pytest.mark.slow
@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_what_an_imported_folder_has_may_be_sent_again(
    policy: DuplicatePolicy, tmp_path: Path
) -> None:
    """The same is a success and changes nothing; other content meets the policy."""
    (tmp_path / "tree").mkdir()
    kept = with_bytes(written(), with_group_length)
    write_file(kept, tmp_path / "tree/one.dcm").unwrap()
    import_folder(tmp_path / "pacs", tmp_path / "tree", processes=1).unwrap()
    with open_archive(tmp_path / "pacs", duplicates=policy).unwrap() as archive:
        for same in (kept, written(undefined=True)):
            stored = archive.store(same).unwrap()
            assert (stored.created, stored.storage_key) == (False, "import:1:one.dcm")
        assert not list((tmp_path / "pacs/objects").rglob("*.dcm"))
        other = archive.store(written(change=rename))
        if policy is DuplicatePolicy.REJECT:
            assert "with other content" in other.failure().message
        else:
            assert other.unwrap().created is (policy is not DuplicatePolicy.IGNORE)
    assert (tmp_path / "tree/one.dcm").exists()
