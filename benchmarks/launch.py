"""Servers as processes: started with an empty store, stopped, their store emptied."""

from __future__ import annotations

import functools
import os
import selectors
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from pacs_sdk.network import Peer

__all__ = ["Launch", "Running"]

_READY_S = 30.0
_STOP_S = 20.0
_CONNECT_EVERY_S = 0.02


@attrs.frozen
class Running:
    """A server that accepts associations."""

    port: int
    """Its port on 127.0.0.1."""
    process_id: int
    """Its process."""

    @property
    def peer(self) -> Peer:
        """It, as our client addresses it."""
        return Peer("127.0.0.1", self.port, "ANY")


@attrs.frozen
class Launch:
    """A way to start a server."""

    name: str
    """What tables call it."""
    command: Callable[[Path, int], list[str]] = attrs.field(repr=False)
    """Gives the command line, for an empty folder of its own and a free port."""
    says_when_ready: bool = False
    """Whether it prints ``READY dicom=HOST:PORT``; others are asked until they accept."""
    environment: Mapping[str, str] = attrs.field(factory=dict)
    """What its environment has besides ours."""
    port: int | None = None
    """The port it gets, where others must know it before; a free one by default."""

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run the server with an empty store; afterwards it is stopped and its store emptied."""
        folder = Path(tempfile.mkdtemp(dir=_stores().name))
        port = self.port or _free_port()
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(folder, port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.says_when_ready else log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        try:
            if self.says_when_ready:
                port = _announced_port(process, folder)
            else:
                _wait_until_it_accepts(process, port, folder)
            yield Running(port, process.pid)
        finally:
            _stop(process)
            _empty(folder)


@functools.cache
def _stores() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pacs-bench-", ignore_cleanup_errors=True)


def _empty(folder: Path) -> None:
    """Give the room of a store back; its files are removed when the program ends.

    ext4 doesn't use the inode of a removed file again for minutes, and passes over all such
    at each new file: 500 files removed before a run made each file of it 0.2 to 0.4 ms
    slower, whoever made it.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _announced_port(process: subprocess.Popen[bytes], folder: Path) -> int:
    if process.stdout is None:
        raise RuntimeError("the server's output is not read")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline().decode() if selector.select(_READY_S) else ""
    if not line.startswith("READY "):
        raise RuntimeError(f"the server did not start: {line}{_log_of(folder)}")
    return int(line.split()[1].rpartition(":")[2])


def _wait_until_it_accepts(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_CONNECT_EVERY_S)  # a foreign program has no other way to say it
    raise RuntimeError(f"the server did not start: {_log_of(folder)}")


def _log_of(folder: Path) -> str:
    return (folder / "server.log").read_text(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
