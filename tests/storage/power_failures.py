"""``python -m tests.storage.power_failures FOLDER ROUNDS``: power failures on a real file system.

Processes store and delete in an archive on ext4 in an image file. At some moment they are stopped,
and the image is copied: it has what had reached the disk by then, and nothing of what only the
system knew. Then the copy takes the image's place, the archive is opened on it, and everything
that was acknowledged in all rounds so far is compared. One line of JSON a round.

It mounts, so it is to be run by root in a mount namespace of its own (``unshare --mount``).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from pacs_sdk.encoding import Instance
from pacs_sdk.storage import Archive, Query, open_archive
from tests.storage.made_instances import made_instance

__all__ = ["CANNOT_MOUNT"]

CANNOT_MOUNT = 77
"""The exit status where this machine lets nobody mount an image."""

_IMAGE_BYTES = 2 << 30
_PROCESSES = 2
_THREADS = 3
_PATIENCE_S = 30


# -- those who store ---------------------------------------------------------------------------


def _store(folder: Path, seed: str) -> None:
    """Store and delete for ever, and say what was acknowledged."""
    archive = open_archive(folder).unwrap()
    for number in range(_THREADS):
        threading.Thread(target=_store_and_delete, args=(archive, f"{seed}.{number}")).start()


def _store_and_delete(archive: Archive, root: str) -> None:
    chance = random.Random(root)
    kept: list[str] = []
    for number in itertools.count():
        uid = f"1.2.3.{root}.{number}"
        instance = made_instance(
            SOPInstanceUID=uid,
            StudyInstanceUID=f"1.2.4.{root}.{number // 50}",
            SeriesInstanceUID=f"1.2.5.{root}.{number // 20}",
            TextValue="x" * chance.choice((0, 3000, 9000, 200_000)),
        )
        archive.store(instance).unwrap()
        _say("stored", uid, _digest(instance))
        kept.append(uid)
        if chance.random() < 0.1:
            gone = kept.pop(chance.randrange(len(kept)))
            _say("deleting", gone)
            archive.delete(Query.of("IMAGE", SOPInstanceUID=gone).unwrap()).unwrap()
            _say("deleted", gone)


def _say(*words: str) -> None:
    """Write a line at once: whoever is killed afterwards has said it."""
    os.write(1, (" ".join(words) + "\n").encode())


def _digest(instance: Instance) -> str:
    return hashlib.sha256(instance.encoded.view()).hexdigest()


# -- who takes the power away ------------------------------------------------------------------


@attrs.define
class _Acknowledged:
    """What the archive has to have, and what it must not have."""

    stored: dict[str, str] = attrs.field(factory=dict)
    deleted: set[str] = attrs.field(factory=set)

    def hear(self, line: str) -> None:
        """Take what a process said."""
        match line.split():
            case ["stored", uid, digest]:
                self.stored[uid] = digest
            case ["deleting", uid]:  # it may be there or not from now on
                del self.stored[uid]
            case ["deleted", uid]:
                self.deleted.add(uid)

    def compare(self, archive: Archive) -> dict[str, object]:
        """Tell what is missing, different or back."""
        wrong = [
            uid
            for uid, digest in self.stored.items()
            if archive.open(uid).map(_digest).value_or("") != digest
        ]
        query = Query.of("IMAGE", return_keys=["SOPInstanceUID"]).unwrap()
        found = {match.get("SOPInstanceUID") for match in archive.find(query).unwrap()}
        report = archive.recovery
        return {
            "acknowledged": len(self.stored),
            "deleted": len(self.deleted),
            "restored": report.restored_objects,
            "indexed": len(report.indexed),
            "wrong": wrong,
            "not_found": sorted(self.stored.keys() - found),
            "back": sorted(self.deleted & found),
            "not_indexed": [one.storage_key for one in report.not_indexed],
            "without_object": list(report.without_object),
        }


def _fail_again_and_again(folder: Path, rounds: int) -> None:
    image, copy, mount = folder / "disk", folder / "copy", folder / "mounted"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    _run("mkfs.ext4", "-q", "-N", "50000", image)
    acknowledged = _Acknowledged()
    for number in range(rounds):
        chance = random.Random(number)
        with _mounted(image, mount):
            _until_power_fails(mount / "archive", image, copy, chance, acknowledged)
        copy.replace(image)
        with _mounted(image, mount), open_archive(mount / "archive").unwrap() as archive:
            _say(json.dumps(acknowledged.compare(archive)))


def _until_power_fails(
    archive: Path, image: Path, copy: Path, chance: random.Random, acknowledged: _Acknowledged
) -> None:
    seed = chance.randrange(10**6)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.storage.power_failures", archive, f"{seed}.{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(_PROCESSES)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            for line in itertools.islice(process.stdout, chance.randrange(20, 500)):
                acknowledged.hear(line)
        for process in running:
            process.send_signal(signal.SIGSTOP)
        _wait_until_stopped(running)
        _run("cp", "--sparse=always", image, copy)
    finally:
        for process in running:
            process.kill()
    for process in running:
        for line in process.communicate()[0].splitlines():
            acknowledged.hear(line)


def _wait_until_stopped(running: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until no thread is in a system call any more."""
    end = time.monotonic() + _PATIENCE_S
    while not all(_is_stopped(process.pid) for process in running):
        if time.monotonic() > end:
            raise TimeoutError("the processes did not stop")


def _is_stopped(process: int) -> bool:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return all((one / "stat").read_text().rpartition(") ")[2][0] == "T" for one in tasks)


@contextlib.contextmanager
def _mounted(image: Path, mount: Path) -> Iterator[None]:
    _run("mount", "-o", "loop", image, mount)
    try:
        yield
    finally:
        _run("umount", mount)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def _can_mount(folder: Path) -> bool:
    image, mount = folder / "try", folder / "tried"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    try:
        _run("mkfs.ext4", "-q", image)
        _run("mount", "-o", "loop", image, mount)
    except subprocess.CalledProcessError:
        return False
    _run("umount", mount)
    return True


if __name__ == "__main__":
    _place, _what = Path(sys.argv[1]), sys.argv[2]
    if "." in _what:
        _store(_place, _what)
    elif not _can_mount(_place):
        sys.exit(CANNOT_MOUNT)
    else:
        _fail_again_and_again(_place, int(_what))
