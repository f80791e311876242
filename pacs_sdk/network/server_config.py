"""How a server listens and what it allows: the same for every driver."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.connection.waits import LONGEST_S
from pacs_sdk.network.engine import ARTIM_TIMEOUT_S
from pacs_sdk.network.negotiation import DEFAULT_MAXIMUM_LENGTH
from pacs_sdk.network.sink import DEFAULT_MAX_DATASET_BYTES, DEFAULT_SPOOL_THRESHOLD_BYTES
from pacs_sdk.network.spool_area import DEFAULT_MEMORY_QUOTA_BYTES, DEFAULT_SPOOL_QUOTA_BYTES
from pacs_sdk.network.tls import ServerTls

__all__ = ["Driver", "ServerConfig"]

_CONNECTIONS_OVER_LIMIT: Final = 16


def _tuple(texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str):  # its letters would be the rules: of "CT*" one is a wildcard
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"AE titles and peers are given as a list, not as one text: {texts[:80]!r}",
        )
    return tuple(texts)


def _frozen(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(_tuple(texts))


def _one_at_least(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{attribute.name} is {value}, but nothing is done without at least 1",
        )


class Driver(enum.StrEnum):
    """How a server waits for its peers."""

    THREADED = "threaded"
    """One thread an association: the fastest for few."""
    ASYNCIO = "asyncio"
    """An event loop and a few threads: for hundreds that are mostly idle."""


def _driver(choice: Driver) -> Driver:
    return Driver(choice)  # it may be text, where no type checker looks


_TIMES: Final = (
    "artim_timeout_s",
    "idle_timeout_s",
    "send_timeout_s",
    "message_timeout_s",
    "sub_operation_timeout_s",
)

_MOST: Final = {
    "max_associations": sys.maxsize,
    "maximum_length": 0xFFFF_FFFF,  # PS3.8 D.1
    "max_operations_performed": 0xFFFF,  # PS3.7 D.3.3.3.1
    "max_operations_invoked": 0xFFFF,
    "spool_threshold_bytes": sys.maxsize,
    "max_dataset_bytes": sys.maxsize,
}
"""The largest value of each number that may not be negative."""


@attrs.frozen
class ServerConfig:
    """How a server listens and what it allows.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a text where a list belongs, and for a time or
            a number that cannot be.
    """

    ae_title: str = "PACS_SCP"
    """The server's own AE title."""
    host: str = "127.0.0.1"
    """The address to listen on; ``0.0.0.0`` for every IPv4 interface."""
    port: int = 11112
    """The port to listen on; 0 picks a free one."""
    tls: ServerTls | None = None
    """How it speaks TLS; in clear if ``None``."""
    reuse_port: bool = False
    """Whether other processes may listen on the same port, and share the connections."""
    driver: Driver = attrs.field(default=Driver.THREADED, converter=_driver)
    """Which driver a program should take; each class of server is one of them."""
    worker_threads: int = attrs.field(default=16, validator=_one_at_least)
    """How many associations the asyncio driver works on at the same time. Those whose peer takes
    no answers, or does not answer the sub-operations of its C-GET, do not count: each keeps a
    thread of its own until the peer goes on, or ``send_timeout_s`` or
    ``sub_operation_timeout_s`` is over."""
    max_associations: int = 20
    """How many associations are served at the same time."""
    artim_timeout_s: float = ARTIM_TIMEOUT_S
    """How long a connection may take to send its association request."""
    idle_timeout_s: float = 300.0
    """How long an association may send nothing."""
    send_timeout_s: float = 60.0
    """How long a peer may take no data."""
    message_timeout_s: float = 3600.0
    """How long a message may take from its first byte to its last."""
    sub_operation_timeout_s: float = 60.0
    """How long a peer may take to answer a C-STORE sub-operation."""
    require_called_ae_title: bool = False
    """Whether a request for another AE title is rejected."""
    called_ae_titles: frozenset[str] = attrs.field(default=(), converter=_frozen)
    """Other AE titles that it answers to; ``*`` and ``?`` are wildcards."""
    calling_ae_titles: frozenset[str] = attrs.field(default=(), converter=_frozen)
    """The AE titles that may associate, with wildcards; empty means all."""
    peers: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """AE titles and the networks that they may call from: ``CT*@10.1.0.0/16``."""
    max_associations_per_peer: int | None = None
    """How many associations one address, and one calling AE title, may have at a time."""
    identity_required: bool = False
    """Whether a request without a verified user identity is rejected."""
    unknown_storage_classes: bool = False
    """Whether private and new SOP classes go to the storage service, as far as nothing says
    that they are something else (PS3.7 D.3.3.6)."""
    max_operations_performed: int = 16
    """How many requests a peer may send ahead of their responses, if it asks for more than
    one (asynchronous operations window, PS3.7 D.3.3.3)."""
    max_operations_invoked: int = 16
    """How many sub-operations of a C-GET are sent ahead of their responses to a peer that can
    perform more than one at a time."""
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH
    """The longest P-DATA-TF we ask peers for, in bytes."""
    spool_directory: Path | None = None
    """Where long data sets lie while they arrive; a private folder of the system's temporary
    one if ``None``."""
    spool_quota_bytes: int = DEFAULT_SPOOL_QUOTA_BYTES
    """How much all of them together may take there; more are refused."""
    memory_quota_bytes: int = DEFAULT_MEMORY_QUOTA_BYTES
    """How much memory all data sets under way may take; then they go to the spool earlier."""
    spool_threshold_bytes: int = DEFAULT_SPOOL_THRESHOLD_BYTES
    """Longer data sets go to a spool file while they arrive."""
    max_dataset_bytes: int = DEFAULT_MAX_DATASET_BYTES
    """Longer data sets are refused with an out-of-resources status."""

    def __attrs_post_init__(self) -> None:
        for name in _TIMES:
            if not 0 < getattr(self, name) <= LONGEST_S:
                raise self._impossible(name, f"above 0 s, and at most {LONGEST_S:.0f} s")
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise self._impossible(name, "0 or more" if most == sys.maxsize else f"0 to {most}")

    def _impossible(self, name: str, wanted: str) -> PacsException:
        return PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{name} of the server is {getattr(self, name)}, but must be {wanted}",
            setting=name,
        )

    @property
    def max_connections(self) -> int:
        """How many connections are heard at all.

        For one more, the one that has waited longest for its request, or for its end after a
        release, is closed. They are a few more than associations, so that those over the limit can be
        refused in words (A-ASSOCIATE-RJ, local limit exceeded).
        """
        return self.max_associations + _CONNECTIONS_OVER_LIMIT
