"""C-STORE against the least that Python could do: from a socket into files, no protocol.

Both get the same bytes from a client that replays them, one image at a time: the next one
comes when the one before is acknowledged. The bare copy is told how long an image is and
answers with one byte; our server has to find out what it is given, and indexes it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch
from benchmarks.loopback_client import CT_IMAGE_STORAGE, Client, store_message
from benchmarks.made_images import made_images
from benchmarks.peers import least_in_c, null_server, our_server, present, storescp
from pacs_sdk.encoding import read_bytes

__all__ = ["comparisons"]

_CT_IMAGES = 400
_BUFFER_BYTES = 1 << 18
_LENGTH = struct.Struct(">Q")


@attrs.define
class _Copying:
    """One server, and the images that are sent to it."""

    launch: Launch
    images: tuple[tuple[str, memoryview], ...] = attrs.field(repr=False)
    _port: int = attrs.field(init=False, default=0)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Run the server with an empty store."""
        with self.launch.running() as server:
            self._port = server.port
            yield

    def store(self) -> None:
        """Send the images with C-STORE."""
        client = Client(self._port, CT_IMAGE_STORAGE)
        for uid, data in self.images:
            client.store(store_message(uid, [data]))
        client.release()

    def copy(self) -> None:
        """Send the images as they are."""
        with socket.create_connection(("127.0.0.1", self._port)) as connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _, data in self.images:
                connected.sendall(_LENGTH.pack(len(data)))
                connected.sendall(data)
                if connected.recv(1) != b"\0":
                    raise RuntimeError("the copy was not acknowledged")


def comparisons() -> tuple[Comparison, ...]:
    """Compare a bare copy with C-STORE into our server, DCMTK's, and one without an index."""
    made = made_images(scaled(_CT_IMAGES))
    instances = [read_bytes(path.read_bytes()).unwrap() for path in made.paths]
    images = tuple((one.sop_instance_uid, one.encoded.view()) for one in instances)
    quiet = ("--durability", "relaxed", "--log-level", "warning")
    stores = [
        _Copying(launch, images)
        for launch in (
            our_server("pacs_sdk, relaxed", *quiet),
            *present(storescp()),
            null_server("the least in Python: PDUs, file, name, answer", keeps=True),
            null_server(
                "a plain archive in Python: header and index, too", keeps=True, indexes=True
            ),
            *present(least_in_c("the least in C: the same")),
        )
    ]
    bare = _Copying(Launch("bare copy in Python", _command, says_when_ready=True), images)
    contestants = [Contestant(one.launch.name, one.store, one.around) for one in stores]
    contestants.append(Contestant(bare.launch.name, bare.copy, bare.around))
    title = "CT images of 512 x 512 from a socket into files"
    return (Comparison(title, "images", made.count, tuple(contestants), made.file_bytes),)


# -- the bare copy's process ---------------------------------------------------------------


def _command(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.bare_copy", str(folder)]


def _serve(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"READY dicom=127.0.0.1:{listener.getsockname()[1]}", flush=True)
        connected, _ = listener.accept()
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with connected:
        for number in itertools.count():
            header = connected.recv(_LENGTH.size, socket.MSG_WAITALL)
            if not header:
                return
            (left,) = _LENGTH.unpack(header)
            with (folder / f"{number}.dcm").open("wb", buffering=0) as file:
                while left:
                    count = connected.recv_into(buffer[: min(left, _BUFFER_BYTES)])
                    if not count:
                        raise RuntimeError("the connection ended within an image")
                    file.write(buffer[:count])
                    left -= count
            connected.sendall(b"\0")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    _serve(arguments.parse_args().folder)
