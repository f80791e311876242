"""What a sender is told (PS3.4 B.2.3) when an archive cannot take an instance, and what is left."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import attrs
import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import StorageScp, StorageScu, StoreOutcome
from pacs_sdk.storage import open_archive
from tests.storage.made_instances import CT, made_instance


@attrs.frozen
class Served:
    """An archive behind a server."""

    folder: Path
    server: DicomServer

    def send(self, *instances: Instance) -> list[StoreOutcome]:
        """Send instances over one association; return what was answered for each."""
        peer = Peer("127.0.0.1", self.server.port)
        return list(raised(StorageScu().store(peer, list(instances))).outcomes)

    def objects(self) -> list[str]:
        """Name the objects, and unfinished files if there are any."""
        files = (self.folder / "objects").rglob("*")
        return sorted(
            path.name for path in files if path.suffix in (".dcm", ".part") and path.stat().st_size
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Give an empty archive behind a server."""
    with raised(open_archive(tmp_path)) as archive:
        scp = StorageScp(archive.store, receive=archive.receive)
        with DicomServer(ServerConfig(port=0), [scp]) as server:
            yield Served(tmp_path, server)


def _cut(instance: Instance) -> Instance:
    return attrs.evolve(instance, encoded=instance.encoded.slice(0, 60))


def _announced_as(instance: Instance, sop_class_uid: str, sop_instance_uid: str) -> Instance:
    return attrs.evolve(instance, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)


REFUSED: dict[str, tuple[Callable[[], Instance], int]] = {
    "study-uid-missing": (lambda: made_instance(StudyInstanceUID=None), 0xC000),
    "study-uid-is-a-path": (lambda: made_instance(StudyInstanceUID="../../../etc"), 0xC000),
    "series-uid-is-a-path": (lambda: made_instance(SeriesInstanceUID="/1.2/3"), 0xC000),
    "study-uid-too-long": (lambda: made_instance(StudyInstanceUID="1." * 150 + "1"), 0xC000),
    "data-set-cut-short": (lambda: _cut(made_instance()), 0xC000),
    "another-instance": (lambda: _announced_as(made_instance(), CT, "1.2.3.0"), 0xA900),
    "another-sop-class": (
        lambda: _announced_as(
            made_instance(SOPInstanceUID="1.2.3.8"), "1.2.840.10008.5.1.4.1.1.4", "1.2.3.8"
        ),
        0xA900,
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_stored_is_told_and_leaves_nothing(
    served: Served, case: tuple[Callable[[], Instance], int]
) -> None:
    """Cannot understand (C000H) or data set does not match (A900H); the next one is stored."""
    make, status = case
    good = made_instance()
    refused, stored = served.send(make(), good)
    assert (refused.status, refused.is_stored) == (status, False)
    assert refused.comment
    assert stored.status == 0
    assert served.objects() == [f"{good.sop_instance_uid}.dcm"]


def failing(code: int) -> Callable[..., NoReturn]:
    """Make a function of ``os`` that fails."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("write", errno.ENOSPC),
        ("fsync", errno.EIO),
        ("link", errno.EDQUOT),
        ("mkdir", errno.EROFS),
    ],
)
@pytest.mark.slow
def test_a_disk_that_fails_is_out_of_resources(
    served: Served, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    """The sender gets A700H, nothing is left, and sent again the instance is stored."""
    sent = made_instance()
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(code))
        (refused,) = served.send(sent)
    assert refused.status == 0xA700
    assert served.objects() == []
    (stored,) = served.send(sent)
    assert stored.status == 0
    assert served.objects() == [f"{sent.sop_instance_uid}.dcm"]


def test_a_folder_that_vanished_is_out_of_resources(served: Served) -> None:
    """While the disk is away the sender gets A700H, and nothing is written in its place."""
    before, after = made_instance(), made_instance()
    assert served.send(before)[0].status == 0
    objects = served.folder / "objects"
    away = objects.rename(served.folder / "away")
    (refused,) = served.send(after)
    assert refused.status == 0xA700
    assert not objects.exists()
    away.rename(objects)
    assert [one.status for one in served.send(after, before)] == [0, 0]
    assert len(served.objects()) == 2
