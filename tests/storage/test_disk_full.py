"""Real small disks: full, read-only, gone. What happens there is told, and nothing is lost.

The same faults are injected at the operating system's functions in ``test_file_storage.py``
and ``test_received.py``, for machines that don't let a test mount a file system.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import StorageScp, StorageScu
from pacs_sdk.storage import Archive, Durability, FileStorage, Query, open_archive
from tests.storage.made_instances import made_instance
from tests.storage.small_disks import make_read_only, small_disk, unmount

MEBIBYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 4 MiB."""
    with small_disk(tmp_path / "disk", 4) as place:
        yield place


def objects_below(folder: Path) -> list[str]:
    """Name the files below a folder, those that were begun and not finished among them."""
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.suffix in (".dcm", ".part") and path.stat().st_size
    )


def failure(result: PacsResult[object]) -> PacsError:
    """Return the error of a failure."""
    assert isinstance(result, Failure), result
    error: PacsError = result.failure()
    return error


@pytest.mark.parametrize("durability", Durability)
def test_a_full_disk_keeps_what_it_has_and_nothing_half(disk: Path, durability: Durability) -> None:
    """Puts fail with A700H while it is full; whole objects stay; with room again all is well."""
    storage = FileStorage(disk / "objects", durability)
    results = [
        storage.put(f"1/2/{number}.dcm", [bytes([number]) * (MEBIBYTE - 8192)])
        for number in range(6)
    ]
    codes = [failure(result).code for result in results if isinstance(result, Failure)]
    assert 1 < len(codes) < 6
    assert set(codes) == {ErrorCode.STORAGE_WRITE_FAILED}
    assert codes[0].dimse_status == 0xA700
    assert "the disk is full" in failure(results[-1]).message
    stored = [number for number, result in enumerate(results) if not isinstance(result, Failure)]
    assert objects_below(disk) == [f"{number}.dcm" for number in stored]
    for number in stored:
        found = raised(storage.open(f"1/2/{number}.dcm")).view()
        assert found == bytes([number]) * (MEBIBYTE - 8192)
    raised(storage.delete("1/2/0.dcm"))
    assert raised(storage.put("1/2/9.dcm", [b"x" * 500_000])).created
    storage.close()


def test_a_disk_with_room_for_no_byte_is_not_writable(disk: Path) -> None:
    """Health tells before a sender is told."""
    storage = FileStorage(disk / "objects")
    assert raised(storage.health()).writable
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))
    health = raised(storage.health())
    assert (health.writable, health.free_bytes) == (False, 0)
    (disk / "ballast").unlink()
    assert raised(storage.health()).writable
    storage.close()


def numbers(archive: Archive) -> set[str]:
    """Return what queries find."""
    return {
        match.get("SOPInstanceUID") for match in raised(archive.find(raised(Query.of("IMAGE"))))
    }


def send(server: DicomServer, *instances: Instance) -> list[int | None]:
    """Send instances over one association; return the status of each."""
    report = raised(StorageScu().store(Peer("127.0.0.1", server.port), list(instances)))
    return [outcome.status for outcome in report.outcomes]


@pytest.mark.parametrize("durability", Durability)
def test_a_sender_is_told_and_the_association_goes_on(disk: Path, durability: Durability) -> None:
    """An image that doesn't fit gets A700H while it arrives; those after it are stored."""
    before, after = made_instance(), made_instance()
    too_long = made_instance(EncapsulatedDocument=bytes(6 * MEBIBYTE))
    with raised(open_archive(disk / "pacs", durability=durability)) as archive:
        scp = StorageScp(archive.store, receive=archive.receive)
        with DicomServer(ServerConfig(port=0), [scp]) as server:
            assert send(server, before, too_long, after) == [0, 0xA700, 0]
        assert numbers(archive) == {before.sop_instance_uid, after.sop_instance_uid}
        assert objects_below(disk) == sorted(
            f"{one.sop_instance_uid}.dcm" for one in (before, after)
        )


def test_wherever_the_disk_becomes_full_a_resend_makes_it_good(disk: Path) -> None:
    """Object, row or neither had room: the answer is A700H, and sent again it is stored."""
    sent = [made_instance(EncapsulatedDocument=bytes(3000)) for _ in range(24)]
    with raised(open_archive(disk / "pacs")) as archive:
        scp = StorageScp(archive.store, receive=archive.receive)
        with DicomServer(ServerConfig(port=0), [scp]) as server:
            assert send(server, sent[0]) == [0]
            room = 20 * 4096  # for a few objects and their rows
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - room))
            statuses = send(server, *sent[1:])
            assert set(statuses) == {0, 0xA700}
            acknowledged = {
                one.sop_instance_uid
                for one, status in zip(sent, [0, *statuses], strict=True)
                if status == 0
            }
            assert acknowledged <= numbers(archive)
            ballast.unlink()
            assert send(server, *sent) == [0] * len(sent)
        assert numbers(archive) == {one.sop_instance_uid for one in sent}
        for one in sent:
            found = raised(archive.open(one.sop_instance_uid))
            assert bytes(found.encoded.view()) == bytes(one.encoded.view())
        assert objects_below(disk) == sorted(f"{one.sop_instance_uid}.dcm" for one in sent)


def test_a_disk_that_went_away_is_not_replaced_by_its_mount_point(disk: Path) -> None:
    """After an unmount nothing is stored below the mount point, and the sender is told A700H."""
    storage = FileStorage(disk / "objects")
    raised(storage.put("1/2/3.dcm", [b"object"]))
    unmount(disk)
    error = failure(storage.put("1/2/4.dcm", [b"x"]))
    assert (error.code, error.code.dimse_status) == (ErrorCode.STORAGE_WRITE_FAILED, 0xA700)
    assert "mounted" in error.message
    with pytest.raises(PacsException, match="mounted"):
        storage.receive(b"meta").write(memoryview(bytes(100_000)))
    missed = failure(storage.open("1/2/3.dcm"))
    assert (missed.code, "mounted" in missed.message) == (ErrorCode.STORAGE_READ_FAILED, True)
    assert failure(storage.health()).code is ErrorCode.STORAGE_READ_FAILED
    assert list(disk.iterdir()) == []
    storage.close()


def test_what_was_arriving_when_the_disk_went_away_is_not_acknowledged(disk: Path) -> None:
    """The open spool file can still be written, but it gets no name."""
    storage = FileStorage(disk / "objects", Durability.RELAXED)
    raised(storage.put("1/2/3.dcm", [b"object"]))
    arriving = storage.receive(b"meta")
    arriving.write(memoryview(bytes(100_000)))
    arriving.finish()
    unmount(disk)
    error = failure(storage.put_received("1/2/4.dcm", arriving))
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    arriving.discard()
    assert list(disk.iterdir()) == []
    storage.close()


def test_a_read_only_disk_is_told_in_words(disk: Path) -> None:
    """A storage on it cannot be opened for writing, and says why."""
    FileStorage(disk / "objects").close()
    make_read_only(disk)
    with pytest.raises(PacsException, match="read-only") as caught:
        FileStorage(disk / "objects")
    assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
