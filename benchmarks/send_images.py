"""C-STORE to DCMTK's ``storescp --ignore``, which throws away what it receives.

Ours and pynetdicom send from this process, for importing Python's modules would hide what
they do; DCMTK's ``storescu`` is a process, whose start (some milliseconds) is timed.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch, Running
from benchmarks.made_images import Images, made_images
from benchmarks.peers import dcmtk, dcmtk_environment, has_pynetdicom, storescp
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import read_file
from pacs_sdk.services import StorageScu

__all__ = ["comparisons"]

_CT_IMAGES = 500
_SMALL_IMAGES = 5000
_SLOW_IMAGES = 200  # pynetdicom takes 45 ms for a small one
_SMALL_SIDE = 68

_MISSED_ANSWER_S = 0.2
_ATTEMPTS = 5


@attrs.define
class _Sending:
    """The images, and whom they are sent to."""

    launch: Launch
    images: Images
    slow_count: int
    """How many of them pynetdicom sends."""
    _server: Running | None = attrs.field(init=False, default=None)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Run the receiver."""
        with self.launch.running() as self._server:
            yield

    @property
    def server(self) -> Running:
        """The receiver that runs now."""
        if self._server is None:
            raise RuntimeError("the receiver does not run")
        return self._server

    def with_ours(self) -> None:
        """Send with our service class user, as ``pacs store`` does."""
        instances = (raised(read_file(path)) for path in self.images.paths)
        report = raised(StorageScu().store(self.server.peer, instances))
        if report.stored != self.images.count:
            raise RuntimeError(f"not sent: {report.failures[0]}")

    def with_storescu(self) -> None:
        """Send with DCMTK's storescu."""
        command = [str(dcmtk("storescu")), "-aec", "ANY", "-R", "+sd", "+r", "127.0.0.1"]
        subprocess.run(
            [*command, str(self.server.port), str(self.images.folder)],
            env=dcmtk_environment(),
            check=True,
            capture_output=True,
        )

    def with_pynetdicom(self) -> None:
        """Send with pynetdicom what pydicom read, its usual way.

        pynetdicom 3.0.4 misses about one in a thousand answers of a peer as fast as this
        one ("Received unexpected C-STORE service message"), waits for it in vain, and
        aborts. It is not made to wait long, and the image is sent again.
        """
        import pydicom
        from pynetdicom import AE  # noqa: TID251  # as a peer

        entity = AE("PYNETDICOM")
        entity.dimse_timeout = _MISSED_ANSWER_S
        first = pydicom.dcmread(self.images.paths[0], stop_before_pixels=True)
        entity.add_requested_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", self.server.port)
        for path in self.images.paths[: self.slow_count]:
            dataset = pydicom.dcmread(path)
            for _ in range(_ATTEMPTS):
                if association.send_c_store(dataset).get("Status") == 0:
                    break
                association = entity.associate("127.0.0.1", self.server.port)
            else:
                raise RuntimeError(f"{path} was not sent")
        association.release()


def comparisons() -> tuple[Comparison, ...]:
    """Compare sending CT images, and small ones."""
    launch = storescp("storescp", "--ignore")
    if launch is None or dcmtk("storescu") is None:
        return ()
    return (
        _comparison("send CT images of 512 x 512", launch, made_images(scaled(_CT_IMAGES))),
        _comparison(
            "send 10 KB images", launch, made_images(scaled(_SMALL_IMAGES), side=_SMALL_SIDE)
        ),
    )


def _comparison(title: str, launch: Launch, images: Images) -> Comparison:
    sending = _Sending(launch, images, slow_count=min(images.count, scaled(_SLOW_IMAGES)))
    contestants = [
        Contestant("pacs_sdk StorageScu", sending.with_ours, sending.around),
        Contestant("DCMTK storescu", sending.with_storescu, sending.around),
    ]
    if has_pynetdicom():
        contestants.append(
            Contestant(
                "pynetdicom send_c_store",
                sending.with_pynetdicom,
                sending.around,
                sending.slow_count,
            )
        )
    return Comparison(title, "images", images.count, tuple(contestants), images.file_bytes)
