"""Associations and C-ECHOs a second, asked for by one client that replays bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch
from benchmarks.loopback_client import Client
from benchmarks.peers import orthanc, our_server, present, pynetdicom_server, storescp

__all__ = ["comparisons"]

_ASSOCIATIONS = 2000
_FEW_ASSOCIATIONS = 60
_ECHOES = 10_000
_FEW_ECHOES = 500
_WARM_UP = 20


@attrs.define
class _Server:
    """One server, and how much is asked of it."""

    launch: Launch
    is_slow: bool = False
    _port: int = attrs.field(init=False, default=0)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Run the server; its first associations, which load code, are not timed."""
        with self.launch.running() as server:
            self._port = server.port
            self.associate(_WARM_UP)
            yield

    def associate(self, count: int) -> None:
        """Associate, send one C-ECHO and release, one association after another."""
        for _ in range(count):
            client = Client(self._port)
            client.echo()
            client.release()

    def echo(self, count: int) -> None:
        """Send C-ECHOs on one association."""
        client = Client(self._port)
        for _ in range(count):
            client.echo()
        client.release()

    def contestant(self, run: Callable[[int], None], count: int, few: int) -> Contestant:
        """Make it a contestant that does ``count`` things, or ``few`` if it is slow."""
        number = scaled(few if self.is_slow else count)
        return Contestant(self.launch.name, lambda: run(number), self.around, number)


def comparisons() -> tuple[Comparison, ...]:
    """Compare whole associations with one C-ECHO each, and C-ECHOs on one association."""
    servers = [_Server(launch) for launch in _launches()]
    servers[1:1] = [_Server(launch, is_slow=True) for launch in _pynetdicom()]
    return (
        Comparison(
            "associate, C-ECHO, release",
            "associations",
            scaled(_ASSOCIATIONS),
            tuple(
                one.contestant(one.associate, _ASSOCIATIONS, _FEW_ASSOCIATIONS) for one in servers
            ),
        ),
        Comparison(
            "C-ECHO on one association",
            "echoes",
            scaled(_ECHOES),
            tuple(one.contestant(one.echo, _ECHOES, _FEW_ECHOES) for one in servers),
        ),
    )


def _launches() -> tuple[Launch, ...]:
    ours = our_server("pacs_sdk serve, all storage contexts", "--log-level", "warning")
    return (ours, *present(storescp(), orthanc("Orthanc")))


def _pynetdicom() -> tuple[Launch, ...]:
    return present(
        pynetdicom_server("pynetdicom, all storage contexts"),
        pynetdicom_server("pynetdicom, one context", "--verification-only"),
    )
