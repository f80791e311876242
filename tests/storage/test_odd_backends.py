"""Backends that are not ours, and break the rules of the port: errors in words, nothing half done."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import Archive, DuplicatePolicy, Query, StoredObject, open_archive
from pacs_sdk.storage.index import index_database
from pacs_sdk.testing import MemoryStorage
from tests.storage.archive_parts import content, failure
from tests.storage.entries import open_index
from tests.storage.made_instances import made_instance


@attrs.frozen
class OddBytes:
    """Bytes that come over a network which may break."""

    whole: memoryview
    given: Callable[[memoryview], memoryview]

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.whole.nbytes

    def head(self, limit: int) -> memoryview:
        """Return the first bytes."""
        return self.given(self.whole[:limit])

    def view(self) -> memoryview:
        """Return all bytes."""
        return self.given(self.whole)

    def slice(self, offset: int, length: int | None = None) -> ByteSource:
        """Return a part."""
        end = None if length is None else offset + length
        return attrs.evolve(self, whole=self.whole[offset:end])


class OddStorage(MemoryStorage):
    """Keeps objects well, and gives them as it is told to."""

    given: Callable[[memoryview], memoryview] = staticmethod(lambda found: found)
    is_full = False

    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> PacsResult[StoredObject]:
        """Put, or raise what the port does not allow."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().put(key, parts, policy=policy)

    def open(self, key: str) -> PacsResult[ByteSource]:
        """Open an object."""
        return Success(OddBytes(raised(super().open(key)).view(), self.given))


@pytest.fixture
def backend() -> OddStorage:
    """Give the backend of the archive."""
    return OddStorage()


@pytest.fixture
def archive(tmp_path: Path, backend: OddStorage) -> Iterator[Archive]:
    """Open an archive over such a backend."""
    with Archive(backend, open_index(tmp_path)) as opened:
        yield opened


@pytest.fixture
def stored(archive: Archive) -> Instance:
    """Store an instance while all is well."""
    instance = made_instance()
    archive.store(instance).unwrap()
    assert content(archive.open(instance.sop_instance_uid).unwrap()) == content(instance)
    return instance


def test_half_an_image_is_not_taken_for_a_whole_one(
    archive: Archive, backend: OddStorage, stored: Instance
) -> None:
    """Whoever reads it is told, also where it was opened for a retrieval."""
    backend.given = lambda found: found[: len(found) // 2]
    (found,) = archive.instances(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
    for instance in (found, archive.open(stored.sop_instance_uid).unwrap()):
        for read in (instance.encoded.view, lambda one=instance: one.encoded.head(100)):
            with pytest.raises(PacsException, match="was read in part") as caught:
                read()
            assert caught.value.error.code is ErrorCode.TRUNCATED


def test_what_reading_raises_is_an_error_of_the_object(
    archive: Archive, backend: OddStorage, stored: Instance
) -> None:
    """Not one that ends the retrieval of all that is behind it."""

    def broken(_: memoryview) -> memoryview:
        raise ConnectionResetError("the store has gone")

    backend.given = broken
    instance = archive.open(stored.sop_instance_uid).unwrap()
    with pytest.raises(PacsException, match="the store has gone") as caught:
        instance.encoded.view()
    assert caught.value.error.code is ErrorCode.STORAGE_READ_FAILED


def test_what_putting_raises_is_not_taken_for_an_error_of_the_sent_file(
    archive: Archive, backend: OddStorage
) -> None:
    """The sender gets A700H, and keeps the instance; nothing of it is in the archive."""
    backend.is_full = True
    error = failure(archive.store(made_instance()))
    assert (error.code, error.code.dimse_status) == (ErrorCode.STORAGE_WRITE_FAILED, 0xA700)
    assert "the disk is full" in error.message
    assert archive.statistics().unwrap().instances == 0


def test_rows_are_written_at_once_where_nobody_can_tell_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance is not refused because its disk's size cannot be asked."""

    def unknown(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(index_database, "disk_usage", unknown)
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.store(made_instance()).unwrap().created
        assert archive.statistics().unwrap().instances == 1
