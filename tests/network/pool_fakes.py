"""Peers and associations without sockets, for the tests of the pool."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, Result, Success
from pacs_sdk.network import AcceptedContext, Peer, ProposedContext
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, Request, Response, Status
from tests.network.helpers import IMPLICIT, VERIFICATION

__all__ = ["FakeAssociation", "FakeNetwork"]

BROKEN = PacsError(ErrorCode.ASSOCIATION_ABORTED, "the connection to the peer was lost")


@attrs.define(eq=False)
class FakeNetwork:
    """Opens associations and watches over them; a breach of the limits is noted."""

    max_per_peer: int = 1000
    max_total: int = 1000
    refuses_verification: bool = False
    refuses: PacsError | None = None
    """What connecting fails with."""
    on_call: Callable[[str], object] | None = None
    """Called with the name of each call that could take time, in its thread."""
    opened: list[FakeAssociation] = attrs.field(factory=list)
    """All that were ever opened, in order."""
    breaches: list[str] = attrs.field(factory=list)
    """What must never happen and did."""
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    per_peer: Counter[Peer] = attrs.field(factory=Counter)

    def connect(
        self,
        peer: Peer,
        calling_ae_title: str,
        contexts: Sequence[ProposedContext],
        window: int,
    ) -> Result[FakeAssociation, PacsError]:
        """Open an association."""
        self.called("connect")
        if self.refuses is not None:
            return Failure(self.refuses)
        association = FakeAssociation(self, peer, calling_ae_title, tuple(contexts))
        with self.lock:
            self.opened.append(association)
            self.per_peer[peer] += 1
            if self.per_peer[peer] > self.max_per_peer or self.per_peer.total() > self.max_total:
                self.breaches.append(f"too many open: {dict(self.per_peer)}")
        return Success(association)

    def called(self, name: str) -> None:
        """Let the test act at a call."""
        if self.on_call is not None:
            self.on_call(name)

    def end(self, association: FakeAssociation, how: str) -> None:
        """Note the end of an association."""
        with self.lock:
            if association.ended is None:
                association.ended = how
                self.per_peer[association.peer] -= 1
            else:
                self.breaches.append(f"ended twice: {association.ended}, {how}")

    @property
    def open_now(self) -> list[FakeAssociation]:
        """All that are open, in the order in which they were opened."""
        return [association for association in self.opened if association.ended is None]


@attrs.define(eq=False)
class FakeAssociation:
    """Implements what the pool asks of an association."""

    network: FakeNetwork
    peer: Peer
    calling_ae_title: str
    proposed: tuple[ProposedContext, ...]
    is_open: bool = True
    """Whether nothing is known against it."""
    is_quiet: bool = True
    """Whether a look at the socket shows nothing."""
    is_busy: bool = False
    """Whether the answers of an operation were not taken to their end."""
    answer: Result[Response, PacsError] | None = None
    """What a C-ECHO gives, instead of success."""
    echoes: int = 0
    ended: str | None = None
    """How it ended: ``"released"`` or ``"aborted"``."""
    user: object = None
    """Who uses it, for tests with many users."""

    @property
    def contexts(self) -> tuple[AcceptedContext, ...]:
        """Everything is accepted, but Verification only where the network takes it."""
        return tuple(
            AcceptedContext(2 * index + 1, context.abstract_syntax, IMPLICIT, True, False)
            for index, context in enumerate(self.proposed)
            if context.abstract_syntax != VERIFICATION or not self.network.refuses_verification
        )

    def is_alive(self) -> bool:
        """Look at the socket."""
        self.network.called("is_alive")
        if not self.is_quiet:
            self.is_open = False
        return self.is_open and not self.is_busy

    def next_message_id(self) -> int:
        """Return a Message ID."""
        return 7

    def call(self, context: AcceptedContext, request: Request) -> Result[Response, PacsError]:
        """Answer a C-ECHO."""
        self.network.called("call")
        assert request == CEchoRQ(7)
        assert context.abstract_syntax == VERIFICATION
        self.echoes += 1
        if self.answer is None:
            return Success(CEchoRSP(7, Status.SUCCESS))
        return self.answer

    def release(self) -> None:
        """End in good order."""
        self.network.called("release")
        self._end("released")

    def abort(self) -> None:
        """End at once."""
        self.network.called("abort")
        self._end("aborted")

    def _end(self, how: str) -> None:
        self.is_open = False
        self.network.end(self, how)
