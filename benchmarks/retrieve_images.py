"""C-GET and C-MOVE of a study, from our archive and from others, asked for by DCMTK's clients.

The archives hold the study already; each stays up for all rounds. ``getscu`` throws away what
it gets, and so does the ``storescp`` that ``movescu`` has it sent to. A client is timed from
its start to its end.
"""

from __future__ import annotations

import atexit
import subprocess
from contextlib import ExitStack

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch
from benchmarks.made_images import Images, made_images
from benchmarks.peers import (
    OUR_MAXIMUM_LENGTH,
    dcmqrscp,
    dcmtk,
    dcmtk_environment,
    orthanc,
    our_server,
    present,
    qrscp,
    storescp,
)
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import read_file
from pacs_sdk.network import Peer

__all__ = ["comparisons"]

_CT_IMAGES = 500
_SLOW_IMAGES = 50
_RUNNING = ExitStack()
atexit.register(_RUNNING.close)


@attrs.define
class _Archive:
    """An archive with a study, which is started and filled when it is first needed."""

    launch: Launch
    images: Images
    _port: int = attrs.field(init=False, default=0)

    def get(self) -> None:
        """Fetch the study with ``getscu``."""
        self._ask("getscu", "--ignore")

    def move(self) -> None:
        """Have the study sent with ``movescu``."""
        self._ask("movescu", "-aem", "DEST")

    def _ask(self, program: str, *options: str) -> None:
        command = [str(dcmtk(program)), "-S", "-pdu", str(OUR_MAXIMUM_LENGTH), *options]
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={self._study}"]
        where = ["-aec", self._called, "127.0.0.1", str(self._filled())]
        done = subprocess.run(
            [*command, *keys, *where], env=dcmtk_environment(), capture_output=True, check=True
        )
        if b"ailed" in done.stdout + done.stderr:
            raise RuntimeError(f"not every image came from {self.launch.name}")

    @property
    def _called(self) -> str:
        """Its AE title; only DCMTK's cares."""
        return "DCMQRSCP" if "dcmqrscp" in self.launch.name else "ANY"

    @property
    def _study(self) -> str:
        return raised(raised(read_file(self.images.paths[0])).header()).text("StudyInstanceUID")

    def _filled(self) -> int:
        """Return its port."""
        if not self._port:
            self._port = _RUNNING.enter_context(self.launch.running()).port
            command = [str(dcmtk("storescu")), "-aec", self._called, "-R", "+sd", "+r"]
            subprocess.run(
                [*command, "127.0.0.1", str(self._port), str(self.images.folder)],
                env=dcmtk_environment(),
                check=True,
                capture_output=True,
            )
        return self._port


def comparisons() -> tuple[Comparison, ...]:
    """Compare C-GET, then C-MOVE."""
    sink = storescp("storescp", "--ignore", "--fork")
    if sink is None or dcmtk("getscu") is None or dcmtk("movescu") is None:
        return ()
    destination = Peer("127.0.0.1", _RUNNING.enter_context(sink.running()).port, "DEST")
    whole = made_images(scaled(_CT_IMAGES), series_per_study=_CT_IMAGES)
    few = made_images(scaled(_SLOW_IMAGES), series_per_study=_CT_IMAGES)
    quiet = ("--log-level", "warning")
    archives = [
        _Archive(launch, whole)
        for launch in (
            our_server("pacs_sdk", *quiet, destinations=[destination]),
            *present(
                dcmqrscp("DCMTK dcmqrscp", [destination]),
                orthanc("Orthanc", modalities=[destination]),
            ),
        )
    ]
    archives += [
        _Archive(launch, few) for launch in present(qrscp("pynetdicom qrscp", [destination]))
    ]
    return (
        Comparison(
            "C-GET of CT images of 512 x 512",
            "images",
            whole.count,
            tuple(Contestant(one.launch.name, one.get, count=one.images.count) for one in archives),
            whole.file_bytes,
        ),
        Comparison(
            "C-MOVE of CT images of 512 x 512",
            "images",
            whole.count,
            tuple(
                Contestant(one.launch.name, one.move, count=one.images.count) for one in archives
            ),
            whole.file_bytes,
        ),
    )
