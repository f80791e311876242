"""A server that is killed at any instant has lost nothing that it acknowledged."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.results import Success, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.network import Peer, ProposedContext, connect
from pacs_sdk.network.dimse import CStoreRQ
from pacs_sdk.storage import Archive, Query, open_archive
from tests.cli.helpers import serving
from tests.storage.made_instances import CT, made_instance

ROUNDS = int(os.environ.get("PACS_CRASH_ROUNDS", "12"))
"""Each takes about a second, most of it to start the server."""

SENDERS = 4
IMPLICIT_OR_EXPLICIT = ("1.2.840.10008.1.2.1",)
PIXELS = os.urandom(300_000)
LONGEST_LIFE_S = 0.25


@attrs.define
class Sender:
    """Sends instances one after another, until the server is gone."""

    peer: Peer
    number: int
    acknowledged: dict[str, bytes] = attrs.field(factory=dict)
    """The hash of each instance that was answered with Success, by its UID."""

    def run(self, first: threading.Event) -> None:
        """Send until the association breaks; tell when the first was answered."""
        opened = connect(
            self.peer, f"SENDER{self.number}", [ProposedContext(CT, IMPLICIT_OR_EXPLICIT)]
        )
        if not isinstance(opened, Success):
            first.set()
            return
        with opened.unwrap() as association:
            for instance in self._instances():
                request = CStoreRQ(1, instance.sop_class_uid, instance.sop_instance_uid)
                answer = association.call(association.contexts[0], request, instance.encoded)
                if not isinstance(answer, Success):
                    break
                if answer.unwrap().status == 0:
                    self.acknowledged[instance.sop_instance_uid] = digest(instance)
                    first.set()
        first.set()

    def _instances(self) -> Iterator[Instance]:
        """Make instances of studies and series that all senders share."""
        while True:
            study = random.randrange(3)
            length = random.choice((0, 10_000, len(PIXELS)))
            yield made_instance(
                SOPInstanceUID=f"1.9.{random.getrandbits(100)}",
                StudyInstanceUID=f"1.2.{study}",
                SeriesInstanceUID=f"1.2.{study}.{random.randrange(2)}",
                PatientID=f"P{study}",
                EncapsulatedDocument=PIXELS[:length],
            )


def digest(instance: Instance) -> bytes:
    """Return the hash of a data set as it is encoded."""
    return hashlib.sha256(instance.encoded.view()).digest()


def one_life(folder: Path, durability: str, rest_s: float) -> dict[str, bytes]:
    """Start a server, send from all sides, and kill it; return what it had acknowledged."""
    with serving("--data", folder, "--port", 0, "--durability", durability) as server:
        senders = [Sender(server.peer, number) for number in range(SENDERS)]
        first = threading.Event()
        threads = [threading.Thread(target=one.run, args=(first,)) for one in senders]
        for thread in threads:
            thread.start()
        assert first.wait(30)
        threading.Event().wait(rest_s)  # the instant is arbitrary, which is the point
        server.process.kill()
        server.process.wait(30)
        for thread in threads:
            thread.join(30)
    return {uid: value for one in senders for uid, value in one.acknowledged.items()}


def unindexed(archive: Archive, folder: Path) -> set[str]:
    """Return the objects that no row leads to."""
    rows = {
        f"{one.encoded.path.relative_to(folder / 'objects')}"  # type: ignore[attr-defined]  # a file
        for one in raised(archive.instances(Query.of("PATIENT").unwrap()))
    }
    files = {
        str(path.relative_to(folder / "objects")) for path in (folder / "objects").rglob("*.dcm")
    }
    return files - rows


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["relaxed", "durable"])
def test_kill_9_at_any_instant(tmp_path: Path, durability: str) -> None:
    """All that was answered with Success is found and is the same, byte by byte.

    Nothing else is left either: after the last start every object has a row and every row its
    object, as it was written, and the spool is empty.
    """
    acknowledged: dict[str, bytes] = {}
    for _ in range(ROUNDS):
        acknowledged |= one_life(tmp_path, durability, random.uniform(0, LONGEST_LIFE_S))
    assert len(acknowledged) > 5 * ROUNDS
    with serving("--data", tmp_path, "--port", 0) as server:
        server.process.terminate()  # it has put in order what the last kill left
        server.stopped()
    with raised(open_archive(tmp_path)) as archive:
        found = {
            instance.sop_instance_uid: digest(instance)
            for instance in raised(archive.instances(raised(Query.of("PATIENT"))))
        }
        assert {uid: found.get(uid) for uid in acknowledged} == acknowledged
        assert raised(archive.statistics()).instances == len(found)
        assert unindexed(archive, tmp_path) == set()
        compared = raised(archive.recover())
        assert (compared.without_object, compared.not_indexed) == ((), ())
        assert [one for one in raised(archive.verify()) if one.kind.is_fault] == []
    assert list((tmp_path / "objects/.spool").iterdir()) == []
