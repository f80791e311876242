"""SOP class extended negotiation between a server's services and a client (PS3.7 D.3.3.5)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pacs_sdk.network import (
    DicomService,
    Exchange,
    Peer,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    common_flags,
    connect,
)
from pacs_sdk.network.dimse import CEchoRQ, Status
from tests.network.servers import serving

pytestmark = pytest.mark.usefixtures("driver")

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"


class _Noting(DicomService):
    """Answers C-ECHO and notes what was agreed when the association began."""

    def __init__(self) -> None:
        self.seen: Mapping[str, bytes] = {}

    def supported_contexts(self) -> list[SupportedContext]:
        """List Verification, with an answer to extended negotiation."""
        return [SupportedContext(VERIFICATION, [IMPLICIT], extended=common_flags(b"\1\0\1"))]

    def handle(self, exchange: Exchange) -> None:
        """Note and answer."""
        self.seen = exchange.association.extended
        exchange.respond_status(Status.SUCCESS)


@pytest.mark.parametrize(
    ("proposed", "agreed"),
    [
        ({}, {}),
        ({VERIFICATION: b"\1"}, {VERIFICATION: b"\1"}),
        ({VERIFICATION: b"\1\1\1\1"}, {VERIFICATION: b"\1\0\1\0"}),
    ],
)
def test_both_sides_know_what_was_agreed(
    proposed: dict[str, bytes], agreed: dict[str, bytes]
) -> None:
    """A service's answer to extended negotiation reaches its handler and the client alike."""
    service = _Noting()
    with serving(service) as server:
        peer = Peer("127.0.0.1", server.port)
        contexts = [ProposedContext(VERIFICATION, (IMPLICIT,))]
        options = RequestorOptions(extended=proposed)
        with connect(peer, "TEST", contexts, options=options).unwrap() as association:
            context = association.context_for(VERIFICATION).unwrap()
            association.call(context, CEchoRQ(1)).unwrap()
            assert association.extended == agreed
    assert service.seen == agreed
