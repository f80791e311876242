"""C-STORE into our server and into others, sent by DCMTK's ``storescu``.

Each run begins with an empty store; starting the server is not timed, the client is from its
start to its end. Images come in the order in which they were made, as a modality sends them; of a
folder the client would take them in none. What is durable when a C-STORE is answered differs, and
names say so.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch
from benchmarks.made_images import Images, made_images
from benchmarks.peers import (
    OUR_MAXIMUM_LENGTH,
    STOCK_MAXIMUM_LENGTH,
    dcmtk,
    dcmtk_environment,
    least_in_c,
    null_server,
    on_one_processor,
    orthanc,
    our_server,
    present,
    pynetdicom_server,
    storescp,
)

__all__ = ["comparisons"]

_CT_IMAGES = 500
_SMALL_IMAGES = 5000
_STOCK_IMAGES = 40  # a peer that waits for a delayed ACK needs 40 ms or more for each
_SMALL_SIDE = 68
_SENDERS = 8


@attrs.define
class _Receiver:
    """One server, and the clients that send to it."""

    launch: Launch
    images: Images
    nagle: bool
    senders: int
    _port: int = attrs.field(init=False, default=0)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Run the server with an empty store."""
        with self.launch.running() as server:
            self._port = server.port
            yield

    def send(self) -> None:
        """Run as many clients as there are to be, each with a part of the images."""
        command = [str(dcmtk("storescu")), "-aec", "ANY", "-R"]
        folders = self.images.folders if self.senders > 1 else (self.images.folder,)
        clients = [
            subprocess.Popen(
                [*command, "127.0.0.1", str(self._port), *map(str, sorted(folder.rglob("*.dcm")))],
                env=dcmtk_environment(nagle=self.nagle),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for folder in folders
        ]
        statuses = [client.wait() for client in clients]
        if any(statuses):
            raise RuntimeError(f"not every image was taken by {self.launch.name}")


def comparisons() -> tuple[Comparison, ...]:
    """Compare 500 CT, the same from a client as it comes, from eight, and small objects."""
    if dcmtk("storescu") is None:
        return ()
    servers = _servers()
    return (
        _comparison("C-STORE of CT images of 512 x 512", servers, made_images(scaled(_CT_IMAGES))),
        _comparison(
            "C-STORE of CT images, everything as it comes (the client with Nagle's algorithm)",
            _servers(maximum_length=STOCK_MAXIMUM_LENGTH),
            made_images(scaled(_STOCK_IMAGES)),
            nagle=True,
        ),
        _comparison(
            f"C-STORE of CT images by {_SENDERS} clients at once",
            _servers("--fork", workers=2),
            made_images(scaled(_CT_IMAGES), folders=_SENDERS),
            senders=_SENDERS,
        ),
        _comparison(
            "C-STORE of 10 KB images", servers, made_images(scaled(_SMALL_IMAGES), side=_SMALL_SIDE)
        ),
    )


def _servers(
    *storescp_options: str, maximum_length: int = OUR_MAXIMUM_LENGTH, workers: int = 1
) -> tuple[Launch, ...]:
    quiet = ("--log-level", "warning")
    relaxed = ("--durability", "relaxed", *quiet)
    ours = our_server("pacs_sdk, relaxed: file and index", *relaxed)
    several = (
        *present(on_one_processor("pacs_sdk, relaxed, on one processor", ours)),
        our_server(f"pacs_sdk, relaxed, {workers} processes", "--workers", str(workers), *relaxed),
    )
    limits = (
        null_server("nothing kept: the client's limit", maximum_length),
        null_server("the least in Python: PDUs, file, name, answer", maximum_length, keeps=True),
        null_server(
            "a plain archive in Python: header and index, too",
            maximum_length,
            keeps=True,
            indexes=True,
        ),
        *present(least_in_c("the least in C: the same", maximum_length)),
    )
    return (
        ours,
        *(several if workers > 1 else ()),
        our_server("pacs_sdk, durable: file synced, index", *quiet),
        *present(
            storescp("DCMTK storescp: file", *storescp_options, maximum_length=maximum_length),
            pynetdicom_server("pynetdicom: file", maximum_length=maximum_length),
            orthanc("Orthanc: file synced, index", maximum_length=maximum_length),
            orthanc("Orthanc, SyncStorageArea off", sync=False, maximum_length=maximum_length),
        ),
        *(limits if workers == 1 else ()),
    )


def _comparison(
    title: str,
    servers: tuple[Launch, ...],
    images: Images,
    *,
    nagle: bool = False,
    senders: int = 1,
) -> Comparison:
    receivers = [_Receiver(launch, images, nagle, senders) for launch in servers]
    return Comparison(
        title,
        "images",
        images.count,
        tuple(
            Contestant(receiver.launch.name, receiver.send, receiver.around)
            for receiver in receivers
        ),
        images.file_bytes,
    )
